"""From a request for layers to a complete command: everything is checked before a picture is fetched."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from families.manifest import LayerRule
from gateway.api.generation_command import GenerationDefaults, Wish, compose_command, first_seed_of, scheduler_of
from gateway.api.generation_request import ImageGenerationRequest
from gateway.api.layers_body import LayersBody
from gateway.api.layers_request import LAYER_COUNTS, GenerateFirst, ImageLayersRequest
from gateway.api.picture_sources import PictureReference
from gateway.domain.errors import InvalidRequest, RequestError
from gateway.domain.layering import LayersWish
from gateway.domain.layers import LayersFormat
from gateway.domain.pictures import GenerateCommand, PictureFormat
from gateway.pipelines.generate import check_prompted
from gateway.pipelines.layers.choice import layered_model
from gateway.pipelines.models import ModelLibrary

_NO_WORDS = " "
"""What the reference says under guidance where nobody says what layers should not show."""


@dataclass(frozen=True, slots=True)
class LayersPlan:
    """A request that is right as far as can be said without its picture. `inline`: files are in the answer."""

    body: ImageLayersRequest
    source: PictureReference | GenerateCommand
    wish: LayersWish
    inline: bool


def plan_layers(given: LayersBody, models: ModelLibrary, defaults: GenerationDefaults) -> LayersPlan:
    """Raises ModelNotFound, InvalidRequest naming the field."""
    body = given.fields
    model, rule = layered_model(models, body.model)
    manifest = model.manifest
    _check_answer(body)
    layers = _layers(body, rule)
    seed = first_seed_of(body.seed, defaults.seed)
    source = _source(given, models, defaults, seed)
    guidance = _guidance(body)
    wish = LayersWish(
        model=manifest.name,
        # Without the adapters that it may name.
        prompt=source.prompt if isinstance(source, GenerateCommand) else body.prompt or "",
        negative_prompt=_NO_WORDS if body.negative_prompt is None else body.negative_prompt,
        layers=layers,
        resolution=_resolution(body, rule),
        seed=seed,
        steps=body.num_inference_steps or manifest.defaults.steps,
        guidance_scale=manifest.defaults.guidance_scale if guidance is None else guidance,
        scheduler=scheduler_of(body.scheduler, manifest, defaults),
        output=LayersFormat(body.output or "list"),
        format=PictureFormat(body.output_format or "png"),
        deterministic=bool(body.deterministic),
        partial_images=body.partial_images or 0,
        decompose=_decompose(body, layers or rule.usual),
    )
    return LayersPlan(body, source, wish, body.response_format == "b64_json")


def _source(
    given: LayersBody, models: ModelLibrary, defaults: GenerationDefaults, seed: int
) -> PictureReference | GenerateCommand:
    body = given.fields
    sources = [*given.files.get("image", ()), *((body.image,) if body.image else ())]
    if len(sources) > 1:
        raise InvalidRequest(f"'image' has {len(sources)} pictures; allowed: one", param="image")
    if sources and body.generate is not None:
        raise InvalidRequest(
            "'image' and 'generate' exclude each other: a picture is sent or drawn; send one of them", param="generate"
        )
    if sources:
        return PictureReference("image", sources[0])
    if body.generate is None:
        raise InvalidRequest(
            "'image' is required: the picture that is taken apart; or 'generate' with a 'prompt', to have it drawn",
            code="missing_required_parameter",
            param="image",
        )
    if not (body.prompt and body.prompt.strip()):
        raise InvalidRequest(
            "'generate' needs a 'prompt': what the picture shows", code="missing_required_parameter", param="prompt"
        )
    with _within("generate"):
        return _drawn_first(body.generate, body.prompt, models, defaults, seed)


def _drawn_first(
    how: GenerateFirst, prompt: str, models: ModelLibrary, defaults: GenerationDefaults, seed: int
) -> GenerateCommand:
    model = models.find(how.model)
    check_prompted(model)
    fields = how.model_dump(exclude_none=True)
    body = ImageGenerationRequest(**{"seed": seed, **fields, "prompt": prompt})
    return compose_command(body, Wish(prompt), model.manifest, defaults)


@contextmanager
def _within(field: str) -> Iterator[None]:
    """Fields that errors name are parts of this one."""
    try:
        yield
    except RequestError as error:
        error.param = field if error.param is None else f"{field}.{error.param}"
        raise


def _check_answer(body: ImageLayersRequest) -> None:
    if body.output_format == "jpeg":
        raise InvalidRequest(
            "'output_format' cannot be jpeg: layers are RGBA, and jpeg files have no alpha; allowed: png, webp",
            param="output_format",
        )
    if body.partial_images and not (body.stream or body.run_async):
        raise InvalidRequest("'partial_images' needs 'stream' or 'async'", param="partial_images")
    if body.run_async and body.stream:
        raise InvalidRequest("'async' and 'stream' exclude each other: a job has its own events", param="async")
    if body.run_async and body.response_format == "b64_json":
        raise InvalidRequest(
            "'response_format' must be url with 'async': a job's pictures are links", param="response_format"
        )


def _layers(body: ImageLayersRequest, rule: LayerRule) -> int | None:
    if body.layers in (None, "auto"):
        return None
    if rule.minimum <= int(body.layers) <= rule.maximum:
        return int(body.layers)
    allowed = LAYER_COUNTS.format(least=rule.minimum, most=rule.maximum)
    raise InvalidRequest(f"'layers' must be {allowed}, not {body.layers}", param="layers")


def _decompose(body: ImageLayersRequest, layers: int) -> tuple[int, ...]:
    asked = tuple(body.decompose or ())
    if len(set(asked)) < len(asked) or any(index >= layers for index in asked):
        raise InvalidRequest(
            f"'decompose' must be different indices of layers, 0 (the bottom) to {layers - 1}", param="decompose"
        )
    return asked


def _resolution(body: ImageLayersRequest, rule: LayerRule) -> int:
    if body.resolution is None:
        return rule.resolutions[0]
    if body.resolution not in rule.resolutions:
        known = ", ".join(map(str, rule.resolutions))
        raise InvalidRequest(f"'resolution' must be one of {known} for this model", param="resolution")
    return body.resolution


def _guidance(body: ImageLayersRequest) -> float | None:
    if None not in (body.guidance_scale, body.true_cfg_scale) and body.guidance_scale != body.true_cfg_scale:
        raise InvalidRequest(
            "'true_cfg_scale' is another word for 'guidance_scale', and they differ; send one", param="true_cfg_scale"
        )
    return body.true_cfg_scale if body.guidance_scale is None else body.guidance_scale
