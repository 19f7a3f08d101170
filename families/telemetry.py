"""Libraries that would report to their makers are told not to, before anything loads them."""

import os
from collections.abc import Mapping
from types import MappingProxyType

_SILENCE: Mapping[str, str] = MappingProxyType(
    {
        # ONNX Runtime looks up Microsoft's collector nine seconds after its import, and again while it is not reached.
        "ORT_DISABLE_TELEMETRY": "1",
        # Gradio reports what a page is made of, and asks for its newest version.
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
)


def silence() -> None:
    """For this process and its children."""
    os.environ.update(_SILENCE)
