"""The InferenceBackend port over the step engine in this process: no Triton, one machine, the same numbers."""

from gateway.adapters.inprocess.backend import InProcessBackend

__all__ = ["InProcessBackend"]
