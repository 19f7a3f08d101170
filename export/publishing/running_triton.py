"""A Triton that runs, through its repository API: what it serves, and how it is told to serve something else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from export.errors import SwapError

_STATE_FILE = "serve.json"
"""Written by `triptych serve` into its runtime directory while it runs."""
_GRPC_KEY = "triton_grpc"


class ServedState(StrEnum):
    """A version's state, by Triton's names."""

    READY = "READY"
    LOADING = "LOADING"
    UNLOADING = "UNLOADING"
    """No new request is taken; those in flight go on."""
    UNAVAILABLE = "UNAVAILABLE"


Served = Mapping[str, Mapping[int, ServedState]]
"""State by Triton model and version."""


def find_triton(runtime_dir: Path) -> str:
    """The gRPC address of the Triton that `triptych serve` runs. Raises SwapError where there is none."""
    path = runtime_dir / _STATE_FILE
    try:
        address = json.loads(path.read_text(encoding="utf-8"))[_GRPC_KEY]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SwapError(f"no `triptych serve` runs on {runtime_dir} ({path}: {error}); name its Triton") from error
    if not address:
        raise SwapError(f"{path}: the Triton of this `triptych serve` is not ready, or there is none")
    return str(address)


class RunningTriton:
    """One connection, a context manager. Every method raises SwapError with Triton's own words."""

    def __init__(self, address: str, load_seconds: float = 600) -> None:
        """`address` is host:port of gRPC; `load_seconds` what one model may take to load."""
        from tritonclient.grpc import InferenceServerClient  # noqa: PLC0415 - gRPC is loaded only when it is used

        self._address = address
        self._load_seconds = load_seconds
        # A proxy from the environment has no business between us and Triton.
        self._client: Any = InferenceServerClient(address, channel_args=[("grpc.enable_http_proxy", 0)])

    def served(self) -> Served:
        """Every version that Triton knows of."""
        with self._errors("cannot be asked"):
            index = self._client.get_model_repository_index(client_timeout=self._load_seconds)
        found: dict[str, dict[int, ServedState]] = {}
        for model in index.models:
            if model.state and model.version.isdecimal():
                found.setdefault(model.name, {})[int(model.version)] = ServedState(model.state)
        return found

    def load(self, name: str, config: str, versions: Sequence[int]) -> None:
        """Serve exactly these versions by this configuration (protobuf text), whatever its version policy says.

        What is served already and did not change goes on undisturbed; a version that is left out takes no more requests
        and goes when those in flight are done.
        """
        with self._errors(f"cannot load {name}"):
            self._client.load_model(name, config=_with_versions(config, versions), client_timeout=self._load_seconds)

    def unload(self, name: str) -> None:
        """Serve no version of it."""
        with self._errors(f"cannot unload {name}"):
            self._client.unload_model(name, client_timeout=self._load_seconds)

    def __enter__(self) -> Self:
        """Nothing to open: the connection is made with the first question."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._client.close()

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        import grpc  # noqa: PLC0415
        from tritonclient.utils import InferenceServerException  # noqa: PLC0415

        try:
            yield
        except InferenceServerException as error:
            raise SwapError(f"Triton at {self._address} {what}: {_first_lines(error.message() or '')}") from error
        except grpc.RpcError as error:
            raise SwapError(f"Triton at {self._address} {what}: {error}") from error


def _with_versions(config: str, versions: Sequence[int]) -> str:
    """The configuration as JSON, which the repository API wants."""
    from google.protobuf import json_format, text_format  # type: ignore[import-untyped]  # noqa: PLC0415
    from tritonclient.grpc import model_config_pb2  # noqa: PLC0415

    parsed = text_format.Parse(config, model_config_pb2.ModelConfig())
    parsed.version_policy.Clear()
    parsed.version_policy.specific.versions.extend(versions)
    text: str = json_format.MessageToJson(parsed, preserving_proto_field_name=True)
    return text


def _first_lines(message: str) -> str:
    """Without the Python traceback that follows."""
    return message.partition("\n\nAt:")[0].strip()
