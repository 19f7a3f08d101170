"""An ONNX file made ready for a TensorRT parser; weights that lie outside of it are neither loaded nor copied."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from export.errors import BuildError
from export.tensorrt.chunked_attention import chunk_attention
from export.tensorrt.profiles import EngineProfile

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PreparedGraph:
    """The file at `path`, or its `rewritten` form: the serialised model, whose external data lie where `path` is."""

    path: Path
    rewritten: bytes | None = None


def prepare_graph(path: Path, profiles: Sequence[EngineProfile], most: int | None) -> PreparedGraph:
    """Split attention whose scores would pass `most` elements (None: any) in some profile.

    Raises BuildError for a file that is missing or broken.
    """
    import onnx  # noqa: PLC0415 - takes half a second, which a missing library's message need not
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # noqa: PLC0415 - onnx brings it

    try:
        model = onnx.load(str(path), load_external_data=False)
    except (OSError, DecodeError) as error:
        raise BuildError(f"{path.parent.name}/{path.name} cannot be read: {error}") from error
    changed = 0 if most is None else chunk_attention(model, [dict(profile.maxima) for profile in profiles], most)
    if not changed:
        return PreparedGraph(path)
    _log.info("%s: attention at %d places runs in pieces of its queries", path.name, changed)
    return PreparedGraph(path, model.SerializeToString())
