"""What every request for pictures may say: OpenAI's fields, then ours."""

from typing import Annotated, Literal

from pydantic import Field

from families.schedulers import SchedulerName
from gateway.api.lora_choice import LoraChoices
from gateway.api.problems import StrictBody

LONGEST_PROMPT = 32_000
"""Characters, as OpenAI's own limit."""
LARGEST_SEED = 2**53 - 1
"""The largest integer that every JSON reader keeps exact."""

Quality = Literal["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"]

_SCHEDULERS = ", ".join(SchedulerName)


class PictureOptions(StrictBody):
    """Fields that are absent or null take their defaults. A field not listed here is refused by name."""

    model: Annotated[
        str | None,
        Field(description="A model id of `/v1/models`, with or without `sd/`. Default: the server's default model."),
    ] = None
    n: Annotated[int | None, Field(ge=1, le=10, description="How many pictures. Default 1.")] = None
    size: Annotated[
        str | None,
        Field(
            description="`WIDTHxHEIGHT` in pixels, or `auto` (default) for the model's own size.",
            examples=["auto", "128x128"],
        ),
    ] = None
    quality: Annotated[
        Quality | None,
        Field(
            description=(
                "How many steps, as a share of the default number: low 0.5, medium 1, high 1.5, xhigh 2, max 3. "
                "`auto` (default) and `standard` mean medium, `hd` means high. `num_inference_steps` overrides it."
            )
        ),
    ] = None
    response_format: Annotated[
        Literal["url", "b64_json"] | None,
        Field(
            description=(
                "`url` (default): a link that needs no key and expires; or `b64_json`: the file itself. "
                "Streamed pictures always carry `b64_json`; with `url` the finished ones carry the link too."
            )
        ),
    ] = None
    output_format: Annotated[Literal["png", "jpeg", "webp"] | None, Field(description="File format. Default png.")] = (
        None
    )
    output_compression: Annotated[
        int | None, Field(ge=0, le=100, description="Quality of jpeg and webp files; not for png. Default 100.")
    ] = None
    background: Annotated[
        Literal["transparent", "opaque", "auto"] | None,
        Field(
            description="`auto` (default) and `opaque` are the same; `transparent` is refused: pictures have no alpha."
        ),
    ] = None
    user: Annotated[str | None, Field(max_length=512, description="Deprecated by OpenAI: `safety_identifier`.")] = None
    safety_identifier: Annotated[
        str | None, Field(max_length=512, description="Your id of the end user; returned as given.")
    ] = None
    negative_prompt: Annotated[
        str | None, Field(max_length=LONGEST_PROMPT, description="What the picture should not show. Default: nothing.")
    ] = None
    num_inference_steps: Annotated[
        int | None, Field(ge=1, le=150, description="Denoising steps. Default: by `quality`.")
    ] = None
    guidance_scale: Annotated[
        float | None,
        Field(ge=0, le=20, description="How closely to follow the prompt; up to 1 means no guidance at all."),
    ] = None
    seed: Annotated[
        int | None,
        Field(
            ge=0,
            le=LARGEST_SEED,
            description=(
                "Picture i takes seed + i. Default: the server's, else random. Every picture's seed is in the answer."
            ),
        ),
    ] = None
    scheduler: Annotated[
        str | None, Field(description=f"How steps are taken, one of: {_SCHEDULERS}.", examples=["dpm++_sde_karras"])
    ] = None
    deterministic: Annotated[
        bool | None,
        Field(description="The same bytes for the same request, whatever else the server does. Slower. Default false."),
    ] = None
    guidance_interval: Annotated[
        list[float] | None,
        Field(
            description=(
                "Two shares of the steps, 0 to 1: guidance holds from the first to the second, and the other steps "
                "cost half. Default: all of them."
            ),
            examples=[[0.1, 0.8]],
            json_schema_extra={"minItems": 2, "maxItems": 2},
        ),
    ] = None
    step_cache: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            description=(
                "Steps at which the model's answer is expected to have moved by less than this share since it was last "
                "asked do not ask it. Default: off."
            ),
        ),
    ] = None
    lora: LoraChoices = None
    run_async: Annotated[
        bool | None,
        Field(
            alias="async",
            description=(
                "Answer 202 with a job at once and work on it behind: see `/v1/jobs/{job_id}`. Pictures are links."
            ),
        ),
    ] = None


class StreamOptions(PictureOptions):
    """Of routes that can stream."""

    stream: Annotated[
        bool | None, Field(description="Answer with server-sent events: estimates as they form, then the pictures.")
    ] = None
    partial_images: Annotated[
        int | None, Field(ge=0, le=3, description="How many estimates to show; needs `stream` or `async`. Default 0.")
    ] = None
