"""A soak of models that share a memory which holds only some of them: `python -m benchmarks.residency`."""
