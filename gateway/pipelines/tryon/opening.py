"""Try-on made ready from what there is to see and to draw with."""

from collections.abc import Mapping

from families.vision.manifest import VisionTask
from families.vision.source import VisionSource
from gateway.domain.backend import InferenceBackend
from gateway.domain.telemetry import Telemetry
from gateway.domain.tryon_options import TryOnOptions
from gateway.domain.tryon_port import TryOnRunner
from gateway.pipelines.admission import Admission
from gateway.pipelines.incoming import PictureReader
from gateway.pipelines.models import ModelLibrary
from gateway.pipelines.tryon.absent import NoTryOn
from gateway.pipelines.tryon.draw import TryOnDraw
from gateway.pipelines.tryon.pipeline import TryOnPipeline
from gateway.pipelines.vision import VisionModels, chosen_vision


def open_try_on(
    *,
    backend: InferenceBackend,
    vision: Mapping[str, VisionSource],
    models: ModelLibrary,
    reader: PictureReader,
    options: TryOnOptions,
    admission: Admission,
    telemetry: Telemetry,
    timeout_seconds: float,
) -> TryOnRunner:
    """Without any vision models every try-on is refused. Raises ModelNotFound for one that `options` names in vain."""
    if not vision:
        return NoTryOn("it has no models that see what pictures show")
    parser = VisionModels(
        backend,
        chosen_vision(vision, options.parser, VisionTask.PARSER),
        None if options.pose is None else chosen_vision(vision, options.pose, VisionTask.POSE),
        None if options.matting is None else chosen_vision(vision, options.matting, VisionTask.MATTING),
    )
    return TryOnPipeline(
        drawer=TryOnDraw(backend, models, telemetry),
        parser=parser,
        models=models,
        reader=reader,
        options=options,
        admission=admission,
        telemetry=telemetry,
        timeout_seconds=timeout_seconds,
    )
