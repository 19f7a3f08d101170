"""The fields of `POST /v1/images/edits` and `POST /v1/images/variations` beside their files.

They come as the texts of a form, so numbers and truths are read from text.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from gateway.api.picture_options import LONGEST_PROMPT, PictureOptions, StreamOptions
from gateway.pipelines.edit import FAITHFUL_MASKED_STRENGTH, FAITHFUL_STRENGTH, MASKED_STRENGTH, STRENGTH

VARIATION_STRENGTH = 0.6
"""Enough to change details, not what the picture shows."""


class ImageEditRequest(StreamOptions):
    """Fields that are absent or empty take their defaults. A field not listed here is refused by name."""

    model_config = ConfigDict(strict=False)

    prompt: Annotated[
        str | None,
        Field(
            max_length=LONGEST_PROMPT,
            description=(
                "What the finished picture shows; not only white space. Required, except with a try-on model, to which "
                "it says nothing."
            ),
            examples=["a woman in a blue dotted dress"],
        ),
    ] = None
    input_fidelity: Annotated[
        Literal["low", "high"] | None,
        Field(
            description=(
                f"How much of the picture stays where `strength` is silent: low (default) means {STRENGTH}, or "
                f"{MASKED_STRENGTH} with a mask; high means {FAITHFUL_STRENGTH}, or {FAITHFUL_MASKED_STRENGTH} with a "
                "mask. Models that take pictures as references keep to them by themselves."
            )
        ),
    ] = None
    strength: Annotated[
        float | None,
        Field(
            gt=0,
            le=1,
            description="The part of the steps that is done from the picture on: near 0 little changes, 1 is all new.",
        ),
    ] = None
    moderation: Annotated[
        Literal["low", "auto"] | None, Field(description="Accepted for OpenAI's clients; no filter runs here.")
    ] = None
    complexity: Annotated[
        Literal["low", "medium", "high"] | None,
        Field(description="Accepted for OpenAI's clients; there is no planning before the picture."),
    ] = None


class ImageVariationRequest(PictureOptions):
    """Fields that are absent or empty take their defaults. A field not listed here is refused by name."""

    model_config = ConfigDict(strict=False)

    strength: Annotated[
        float | None,
        Field(
            gt=0,
            le=1,
            description=(
                "The part of the steps that is done from the picture on: near 0 little changes, 1 is all new. "
                f"Default {VARIATION_STRENGTH}."
            ),
        ),
    ] = None
