"""From a request's body to a complete command: defaults filled in, everything checked against the model."""

import math
import re
import secrets
from dataclasses import dataclass

from families.manifest import ModelManifest, SizeRule
from families.schedulers import supported_schedulers
from gateway.api.generation_request import ImageGenerationRequest
from gateway.domain.errors import InvalidRequest
from gateway.domain.pictures import GenerateCommand, PictureEncoding, PictureFormat

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
    embed_parameters: bool


def compose_command(
    body: ImageGenerationRequest, manifest: ModelManifest, defaults: GenerationDefaults
) -> GenerateCommand:
    """Raises InvalidRequest naming the field."""
    _check_combinations(body)
    width, height = _size(body.size, manifest.size)
    count = body.n or 1
    first_seed = secrets.randbelow(_RANDOM_SEEDS) if body.seed is None else body.seed
    guidance = body.guidance_scale
    if guidance is None:
        guidance = manifest.defaults.guidance_scale if defaults.guidance_scale is None else defaults.guidance_scale
    return GenerateCommand(
        model=manifest.name,
        prompt=_prompt(body.prompt),
        negative_prompt=body.negative_prompt or "",
        seeds=tuple(range(first_seed, first_seed + count)),
        steps=body.num_inference_steps or _steps(body, manifest, defaults),
        guidance_scale=guidance,
        scheduler=_scheduler(body.scheduler, manifest, defaults),
        width=width,
        height=height,
        deterministic=bool(body.deterministic),
        partial_images=body.partial_images or 0,
        encoding=_encoding(body, defaults),
    )


def effective_quality(body: ImageGenerationRequest) -> str:
    """The quality that answers state: low, medium, high, xhigh or max."""
    asked = body.quality or "auto"
    return _SAME_QUALITY.get(asked, asked)


def _check_combinations(body: ImageGenerationRequest) -> None:
    if body.partial_images and not body.stream:
        raise InvalidRequest("'partial_images' needs 'stream': true", param="partial_images")
    if body.background == "transparent":
        raise InvalidRequest(
            "'background' cannot be transparent: this model's pictures have no alpha channel; allowed: opaque, auto",
            param="background",
        )
    if body.output_compression is not None and body.output_format in (None, "png"):
        raise InvalidRequest(
            "'output_compression' applies to the output formats jpeg and webp, not to png", param="output_compression"
        )


def _prompt(prompt: str) -> str:
    if not prompt.strip():
        raise InvalidRequest("'prompt' must not be empty", param="prompt")
    return prompt


def _size(size: str | None, rule: SizeRule) -> tuple[int, int]:
    if size in (None, "auto"):
        return rule.default_width, rule.default_height
    match = _SIZE.fullmatch(size or "")
    if match:
        width, height = int(match[1]), int(match[2])
        if all(rule.minimum <= side <= rule.maximum and side % rule.multiple == 0 for side in (width, height)):
            return width, height
    raise InvalidRequest(
        f"'size' must be 'auto' or WIDTHxHEIGHT, each side a multiple of {rule.multiple} from {rule.minimum} to "
        f"{rule.maximum} pixels, e.g. '{rule.default_width}x{rule.default_height}'",
        param="size",
    )


def _steps(body: ImageGenerationRequest, manifest: ModelManifest, defaults: GenerationDefaults) -> int:
    normal = defaults.steps or manifest.defaults.steps
    return min(_MOST_STEPS, math.ceil(normal * _STEP_SHARE[effective_quality(body)]))


def _scheduler(asked: str | None, manifest: ModelManifest, defaults: GenerationDefaults) -> str:
    supported = supported_schedulers(manifest.noise.prediction)
    if asked is None:
        configured = defaults.scheduler
        # A server may serve models of several kinds: its default holds for those which can use it.
        return configured if configured in supported else manifest.defaults.scheduler
    if asked not in supported:
        raise InvalidRequest(f"'scheduler' must be one of {', '.join(supported)} for this model", param="scheduler")
    return asked


def _encoding(body: ImageGenerationRequest, defaults: GenerationDefaults) -> PictureEncoding:
    quality = _DEFAULT_QUALITY if body.output_compression is None else body.output_compression
    return PictureEncoding(PictureFormat(body.output_format or "png"), quality, defaults.embed_parameters)
