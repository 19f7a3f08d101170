"""From builds, pictures and timings to one measurement."""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from benchmarks.machine import fingerprint
from benchmarks.quantisation.builds import Built
from benchmarks.quantisation.pictures import PictureStore
from benchmarks.quantisation.precisions import way_of
from benchmarks.quantisation.result import Measurement, Quality, Row, Timed
from benchmarks.quantisation.scores import Pictures, psnr, ssim
from wardrobe.evaluation import HeldOut, score
from wardrobe.judge import Judge, reading_of


def measurement_of(
    builds: Sequence[Built], store: PictureStore, items: Sequence[HeldOut], timed: Timed | None
) -> Measurement:
    """Rows in the order of `builds`, the first of which is the reference."""
    judge, wanted = Judge.load(), [reading_of(item.scene) for item in items]
    reference = store.load(builds[0])

    def quality(pictures: Pictures | None) -> Quality | None:
        if pictures is None:
            return None
        scores = score(judge.read(pictures), wanted[: len(pictures)])
        if reference is None or pictures is reference:
            return Quality(None, None, scores)
        beside = reference[: len(pictures)]
        return Quality(psnr(pictures, beside), ssim(pictures, beside), scores)

    rows = []
    for number, built in enumerate(builds):
        pictures = store.load(built) if number else reference
        rows.append(Row(built.recipe.name, way_of(built.recipe), built.components, quality(pictures)))
    return Measurement(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=fingerprint(),
        model_optimizer=version("nvidia-modelopt"),
        rows=tuple(rows),
        timed=timed,
    )
