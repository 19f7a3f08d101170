"""One published vision model in this process."""

from pathlib import Path

from engine.settings import RuntimeSettings
from engine.vision import open_vision
from families.repository import newest_version
from families.serving_mark import ServingMark
from families.tensors import NamedTensor
from families.vision.signature import MAX_BATCH, signature
from families.vision.source import VisionSource
from gateway.adapters.inprocess.errors import backend_error
from gateway.adapters.inprocess.stateless import Stateless
from gateway.domain.backend import Pixels


class OpenVision:
    """Loaded when it is made. Raises RuntimeUnavailableError when the published files cannot be used."""

    def __init__(self, repository: Path, source: VisionSource, settings: RuntimeSettings) -> None:
        folder = newest_version(repository / source.triton_name)
        manifest, runtime = open_vision(folder, settings)
        self._outputs = signature(manifest).outputs
        self._running = Stateless(runtime, MAX_BATCH, source.triton_name)
        self._mark = ServingMark(folder)

    async def look(self, pixels: Pixels, *, deterministic: bool) -> tuple[NamedTensor, ...]:
        """See InferenceBackend."""
        try:
            arrays = await self._running.run([pixels], deterministic=deterministic)
        except Exception as error:
            raise backend_error(error) from error
        return tuple(NamedTensor(spec.name, array) for spec, array in zip(self._outputs, arrays, strict=True))

    def end(self) -> None:
        """No call may follow."""
        self._running.close()
        self._mark.release()
