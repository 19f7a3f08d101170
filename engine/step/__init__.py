"""The step engine: every request in flight gives its rows to the next denoiser call, whatever its step or scheduler."""

from engine.step.engine import StepEngine
from engine.step.metrics import EngineMetrics
from engine.step.open import open_step_engine

__all__ = ["EngineMetrics", "StepEngine", "open_step_engine"]
