"""The page `/ui`: a client of the public API, drawn with Gradio. It imports nothing else of the gateway."""

from families.telemetry import silence

silence()
