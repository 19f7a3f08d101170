"""The InferenceBackend port over the step engine in this process: no Triton, one machine, the same numbers."""

from gateway.adapters.inprocess.backend import InProcessBackend
from gateway.adapters.inprocess.host import InProcessHost

__all__ = ["InProcessBackend", "InProcessHost"]
