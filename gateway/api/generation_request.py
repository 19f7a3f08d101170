"""The body of `POST /v1/images/generations`: OpenAI's fields, then ours."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue

from families.schedulers import SchedulerName
from gateway.api.problems import StrictBody

LONGEST_PROMPT = 32_000
"""Characters, as OpenAI's own limit."""
LARGEST_SEED = 2**53 - 1
"""The largest integer that every JSON reader keeps exact."""

Quality = Literal["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"]

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
_SCHEDULERS = ", ".join(SchedulerName)


class ImageGenerationRequest(StrictBody):
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
    stream: Annotated[
        bool | None, Field(description="Answer with server-sent events: estimates as they form, then the pictures.")
    ] = None
    partial_images: Annotated[
        int | None, Field(ge=0, le=3, description="How many estimates to stream; needs `stream`. Default 0.")
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
            description="Picture i takes seed + i. Default: random. Every picture's seed is in the answer.",
        ),
    ] = None
    scheduler: Annotated[
        str | None, Field(description=f"How steps are taken, one of: {_SCHEDULERS}.", examples=["dpm++_sde_karras"])
    ] = None
    deterministic: Annotated[
        bool | None,
        Field(description="The same bytes for the same request, whatever else the server does. Slower. Default false."),
    ] = None
