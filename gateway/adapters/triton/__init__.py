"""The InferenceBackend port over Triton's gRPC."""

from gateway.adapters.triton.backend import TritonBackend

__all__ = ["TritonBackend"]
