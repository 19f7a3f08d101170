"""The step engine: in-flight batching of denoising steps, its runtimes and samplers. Knows nothing of Triton's wire."""

from families.telemetry import silence

silence()
