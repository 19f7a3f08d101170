"""What a try-on's command leaves open, decided: model, steps, seeds."""

from dataclasses import dataclass

from families.manifest import ModelManifest
from families.schedulers import supported_schedulers
from gateway.domain.errors import InvalidRequest, ModelNotFound
from gateway.domain.pictures import PictureSize
from gateway.domain.tryon import MOST_GARMENTS, TryOnCommand, TryOnMode, TryOnStage
from gateway.domain.tryon_errors import InputValidationError
from gateway.domain.tryon_options import TryOnOptions
from gateway.pipelines.models import ModelLibrary
from gateway.pipelines.purpose import purpose_of

_ONCE = (TryOnStage.LOAD, TryOnStage.GARMENT)
_EACH = (TryOnStage.PARSE, TryOnStage.CROP, TryOnStage.MASK, TryOnStage.GENERATE)


@dataclass(frozen=True, slots=True)
class Plan:
    """One try-on. `judged`: more is drawn than is answered, or the answer says how good it is.

    `refine`: all are gone over again, and what comes of it is one more.
    """

    manifest: ModelManifest
    steps: int
    guidance_scale: float
    scheduler: str
    seeds: tuple[int, ...]
    judged: bool
    refine: bool

    @property
    def drawn(self) -> PictureSize:
        """What the model draws: its own size, whatever the photograph's is."""
        return PictureSize(self.manifest.size.default_width, self.manifest.size.default_height)

    def stages(self, garments: int) -> tuple[TryOnStage, ...]:
        """Those that are gone through."""
        judged = (TryOnStage.SCORE,) if self.judged else ()
        judged = (*judged, TryOnStage.REFINE) if self.refine else judged
        each = (*_EACH, *judged, TryOnStage.RESTORE)
        return (*_ONCE, *each * garments, TryOnStage.ENCODE)


def make_plan(command: TryOnCommand, options: TryOnOptions, models: ModelLibrary) -> Plan:
    """Raises ModelNotFound, InvalidRequest, InputValidationError."""
    _check_garments(command)
    mode = options.of(command.mode)
    manifest = _model(command.model or mode.model, models)
    count = max(command.samples, command.candidates or mode.candidates)
    defaults = manifest.defaults
    guidance = command.guidance_scale
    if guidance is None:
        guidance = defaults.guidance_scale if mode.guidance_scale is None else mode.guidance_scale
    refine = mode.refine if command.refine is None else command.refine
    return Plan(
        manifest=manifest,
        steps=command.steps or mode.steps_of(defaults.steps),
        guidance_scale=guidance,
        scheduler=_scheduler(command.scheduler, mode.scheduler, manifest),
        seeds=tuple(range(command.seed, command.seed + count)),
        judged=command.mode is TryOnMode.PREMIUM or count > command.samples or refine,
        refine=refine,
    )


def _check_garments(command: TryOnCommand) -> None:
    count = len(command.garments)
    if not 1 <= count <= MOST_GARMENTS:
        raise InputValidationError(
            f"{count} garments are given; allowed: 1, or {MOST_GARMENTS}: a top and bottoms", param="garment_image"
        )
    if count > 1 and command.mask is not None:
        raise InputValidationError(
            "'mask' holds for one garment; with two leave it out, or send one request after the other", param="mask"
        )


def _model(name: str | None, models: ModelLibrary) -> ModelManifest:
    dressing = [model.manifest for model in models.all() if model.manifest.try_on is not None]
    if name is None:
        if not dressing:
            raise ModelNotFound("no try-on model is served", param="model")
        return dressing[0]
    manifest = models.find(name).manifest
    if manifest.try_on is None:
        known = ", ".join(model.name for model in dressing) or "none"
        raise InvalidRequest(
            f"the model {manifest.name} does no try-on: it {purpose_of(manifest)}; those that do: {known}",
            param="model",
        )
    return manifest


def _scheduler(asked: str | None, configured: str | None, manifest: ModelManifest) -> str:
    supported = supported_schedulers(manifest.noise.prediction)
    if asked is not None and asked not in supported:
        raise InvalidRequest(f"'scheduler' must be one of {', '.join(supported)} for this model", param="scheduler")
    if asked is not None:
        return asked
    return configured if configured in supported else manifest.defaults.scheduler
