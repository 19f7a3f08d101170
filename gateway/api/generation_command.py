"""From a request's body to a complete command: defaults filled in, everything checked against the model."""

import math
import re
import secrets
from dataclasses import dataclass

from families.manifest import ModelManifest, SizeRule
from families.schedulers import supported_schedulers
from gateway.api.picture_options import PictureOptions, StreamOptions
from gateway.domain.backend import Lora
from gateway.domain.edits import Edit
from gateway.domain.errors import InvalidRequest
from gateway.domain.pictures import GenerateCommand, PictureEncoding, PictureFormat, PictureSize
from gateway.pipelines.lora import check_loras, split_tags

_SIZE = re.compile(r"([0-9]{1,5})x([0-9]{1,5})", re.ASCII)
_RANDOM_SEEDS = 2**32
_MOST_STEPS = 150
_DEFAULT_QUALITY = 100
_STEP_SHARE = {"low": 0.5, "medium": 1.0, "high": 1.5, "xhigh": 2.0, "max": 3.0}
_SAME_QUALITY = {"auto": "medium", "standard": "medium", "hd": "high"}


@dataclass(frozen=True, slots=True)
class GenerationDefaults:
    """What the server's configuration says where a request is silent; None leaves it to the model."""

    steps: int | None
    guidance_scale: float | None
    scheduler: str | None
    seed: int | None
    embed_parameters: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """What only some routes ask for. `partial_images` are streamed; with an `edit` the size may be its picture's."""

    prompt: str
    partial_images: int = 0
    edit: Edit | None = None


def compose_command(
    body: PictureOptions, wish: Wish, manifest: ModelManifest, defaults: GenerationDefaults
) -> GenerateCommand:
    """Raises InvalidRequest naming the field."""
    _check_combinations(body)
    prompt, tagged = split_tags(wish.prompt)
    count = body.n or 1
    first_seed = first_seed_of(body.seed, defaults.seed)
    guidance = body.guidance_scale
    if guidance is None:
        guidance = manifest.defaults.guidance_scale if defaults.guidance_scale is None else defaults.guidance_scale
    return GenerateCommand(
        model=manifest.name,
        prompt=prompt,
        negative_prompt=body.negative_prompt or "",
        seeds=tuple(range(first_seed, first_seed + count)),
        steps=body.num_inference_steps or _steps(body, manifest, defaults),
        guidance_scale=guidance,
        scheduler=scheduler_of(body.scheduler, manifest, defaults),
        size=_size(body.size, manifest.size, follows_picture=wish.edit is not None),
        deterministic=bool(body.deterministic),
        partial_images=wish.partial_images,
        encoding=_encoding(body, defaults),
        guidance_interval=_guidance_interval(body.guidance_interval),
        step_cache=body.step_cache,
        loras=check_loras([*tagged, *(Lora(choice.name, choice.scale) for choice in body.lora or ())]),
        edit=wish.edit,
    )


def first_seed_of(asked: int | None, default: int | None) -> int:
    """The request's, else the server's, else a new one."""
    if asked is not None:
        return asked
    return secrets.randbelow(_RANDOM_SEEDS) if default is None else default


def streamed_wish(body: StreamOptions, prompt: str | None, edit: Edit | None = None) -> Wish:
    """Of a route with a prompt that can stream. Raises InvalidRequest naming the field."""
    if body.partial_images and not (body.stream or body.run_async):
        raise InvalidRequest("'partial_images' needs 'stream': true or 'async': true", param="partial_images")
    if edit is None or edit.dressing is None:
        if prompt is None:
            raise InvalidRequest("'prompt' is required", code="missing_required_parameter", param="prompt")
        if not prompt.strip():
            raise InvalidRequest("'prompt' must not be empty", param="prompt")
    return Wish(prompt or "", body.partial_images or 0, edit)


def effective_quality(body: PictureOptions) -> str:
    """The quality that answers state: low, medium, high, xhigh or max."""
    asked = body.quality or "auto"
    return _SAME_QUALITY.get(asked, asked)


def _check_combinations(body: PictureOptions) -> None:
    if body.background == "transparent":
        raise InvalidRequest(
            "'background' cannot be transparent: this model's pictures have no alpha channel; allowed: opaque, auto",
            param="background",
        )
    if body.output_compression is not None and body.output_format in (None, "png"):
        raise InvalidRequest(
            "'output_compression' applies to the output formats jpeg and webp, not to png", param="output_compression"
        )


def _guidance_interval(asked: list[float] | None) -> tuple[float, float]:
    match asked:
        case None:
            return 0.0, 1.0
        case [first, last] if 0 <= first <= last <= 1:
            return first, last
    raise InvalidRequest(
        "'guidance_interval' must be two numbers from 0 to 1, the smaller one first", param="guidance_interval"
    )


def _size(size: str | None, rule: SizeRule, *, follows_picture: bool) -> PictureSize | None:
    if size in (None, "auto"):
        return None if follows_picture else PictureSize(rule.default_width, rule.default_height)
    match = _SIZE.fullmatch(size or "")
    if match:
        width, height = int(match[1]), int(match[2])
        if all(rule.minimum <= side <= rule.maximum and side % rule.multiple == 0 for side in (width, height)):
            return PictureSize(width, height)
    raise InvalidRequest(
        f"'size' must be 'auto' or WIDTHxHEIGHT, each side a multiple of {rule.multiple} from {rule.minimum} to "
        f"{rule.maximum} pixels, e.g. '{rule.default_width}x{rule.default_height}'",
        param="size",
    )


def _steps(body: PictureOptions, manifest: ModelManifest, defaults: GenerationDefaults) -> int:
    normal = defaults.steps or manifest.defaults.steps
    return min(_MOST_STEPS, math.ceil(normal * _STEP_SHARE[effective_quality(body)]))


def scheduler_of(asked: str | None, manifest: ModelManifest, defaults: GenerationDefaults) -> str:
    """The request's, else the server's where the model can use it, else the model's. Raises InvalidRequest."""
    supported = supported_schedulers(manifest.noise.prediction)
    if asked is None:
        configured = defaults.scheduler
        # A server may serve models of several kinds: its default holds for those which can use it.
        return configured if configured in supported else manifest.defaults.scheduler
    if asked not in supported:
        raise InvalidRequest(f"'scheduler' must be one of {', '.join(supported)} for this model", param="scheduler")
    return asked


def _encoding(body: PictureOptions, defaults: GenerationDefaults) -> PictureEncoding:
    quality = _DEFAULT_QUALITY if body.output_compression is None else body.output_compression
    return PictureEncoding(PictureFormat(body.output_format or "png"), quality, defaults.embed_parameters)
