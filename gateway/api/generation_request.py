"""The body of `POST /v1/images/generations`."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue

from gateway.api.picture_options import LONGEST_PROMPT, StreamOptions

_EXAMPLES: list[JsonValue] = [
    {"prompt": "a woman in a red striped dress, arms down, blue background", "n": 2, "size": "128x128"},
    {
        "prompt": "a man in a green sweater",
        "stream": True,
        "partial_images": 3,
        "num_inference_steps": 30,
        "guidance_scale": 5.5,
        "scheduler": "dpm++_2m_karras",
        "seed": 7,
        "deterministic": True,
    },
]


class ImageGenerationRequest(StreamOptions):
    """Fields that are absent or null take their defaults. A field not listed here is refused by name."""

    model_config = ConfigDict(json_schema_extra={"examples": _EXAMPLES})

    prompt: Annotated[
        str,
        Field(
            max_length=LONGEST_PROMPT,
            description="What the picture shows; not only white space.",
            examples=["a woman in a red striped dress, arms down, blue background"],
        ),
    ]
    moderation: Annotated[
        Literal["low", "auto"] | None, Field(description="Accepted for OpenAI's clients; no filter runs here.")
    ] = None
    style: Annotated[
        Literal["vivid", "natural"] | None,
        Field(description="Accepted for OpenAI's clients; describe it in the prompt."),
    ] = None
    complexity: Annotated[
        Literal["low", "medium", "high"] | None,
        Field(description="Accepted for OpenAI's clients; there is no planning before the picture."),
    ] = None
