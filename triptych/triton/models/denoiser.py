"""The step engine in Triton's Python backend: a decoupled model that takes requests and answers from its own thread."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import EngineError
from engine.open import read_manifest
from engine.step import StepEngine, open_step_engine
from families.serving_mark import ServingMark
from families.tensors import TensorSpec
from triptych.triton.models.arguments import parse_arguments
from triptych.triton.models.ending import leave_objects_to_the_exit
from triptych.triton.models.engine_metrics import MetricsPage
from triptych.triton.models.exchange import read_request, wants_progress
from triptych.triton.models.outbox import Outbox

_log = logging.getLogger(__name__)

_DRAIN_SECONDS = 20.0
"""Triton waits this long and longer for requests in flight before it unloads a model; a last resort against hanging."""


class TritonPythonModel:
    """See Triton's Python backend and `families.denoise_wire`."""

    _engine: StepEngine
    _outbox: Outbox
    _page: MetricsPage
    _conditions: tuple[TensorSpec, ...]
    _mark: ServingMark

    def initialize(self, args: Mapping[str, str]) -> None:
        """Open, measure and start the engine. An exception makes Triton refuse the model with its message."""
        arguments = parse_arguments(args)
        self._mark = ServingMark(arguments.version_folder)
        self._conditions = read_manifest(arguments.version_folder).given
        self._engine = open_step_engine(arguments.version_folder, arguments.runtime, arguments.step)
        self._page = MetricsPage(arguments.name, arguments.version_folder.name)
        self._outbox = Outbox(self._show_metrics)

    def execute(self, requests: Sequence[Any]) -> None:
        """Hand every request to the engine; answers come from the outbox."""
        for request in requests:
            sink = self._outbox.open(request.get_response_sender())
            try:
                sink.tells_progress = wants_progress(request)
                self._engine.submit(read_request(request, self._conditions), sink)
            except EngineError as error:
                sink.failed(error)
            except Exception as error:
                _log.exception("a request could not be read")
                sink.failed(error)

    def finalize(self) -> None:
        """Finish what is in flight, fail what does not end in time."""
        self._engine.close(_DRAIN_SECONDS)
        self._outbox.close()
        leave_objects_to_the_exit()

    def _show_metrics(self) -> bool:
        metrics = self._engine.metrics()
        self._page.show(metrics)
        return metrics.active + metrics.waiting == 0
