"""Publishes the models before they are served, in a child process: compiling needs torch, and the gateway must not."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Mapping

from families.atomic import replace_text
from families.catalog import ModelSource
from families.vision.source import NO_VISION, VisionSource
from gateway.settings import Settings

logger = logging.getLogger(__name__)

_STOP_SECONDS = 10.0
_VISION_FOLDER = "vision"


class PublishingError(RuntimeError):
    """The models could not be published; the reasons were logged line by line."""


async def publish_models(
    settings: Settings, models: Mapping[str, ModelSource], vision: Mapping[str, VisionSource] = NO_VISION
) -> None:
    """Build, verify and publish what is missing. Raises PublishingError. Cancelling stops the child."""
    if not models:
        raise PublishingError("there is no model to serve: name a folder of models, or an alias")
    command = ["-m", "triptych", "export", "publish", "--runtime-dir", str(settings.runtime_directory)]
    for name, source in models.items():
        command += ["--model", f"{name}={source.path}"]
    for folder in settings.models.lora_directories:
        command += ["--lora-dir", str(folder)]
    command += await asyncio.to_thread(_vision, settings, vision)
    command += ["--runtime", settings.backend.runtime, "--threads", str(settings.backend.threads or 0)]
    command += _hardware(settings)
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            logger.info("export: %s", line.decode(errors="replace").rstrip())
        code = await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
    if code != 0:
        raise PublishingError(f"publishing the models failed with exit code {code}")


def _vision(settings: Settings, vision: Mapping[str, VisionSource]) -> list[str]:
    """Their manifests as files: what an alias declares lies in none."""
    options = []
    for name, source in vision.items():
        manifest = settings.runtime_directory / _VISION_FOLDER / f"{name}.json"
        replace_text(manifest, source.manifest.dump())
        options += ["--vision", f"{name}={source.graph}={manifest}"]
    return options


def _hardware(settings: Settings) -> list[str]:
    """Where Triton places the models, and how torch computes. In this process that is told when they are opened."""
    if settings.backend.kind != "triton":
        return []
    options = [
        word for name, value in settings.hardware.torch_options.dump() for word in ("--torch", f"{name}={value}")
    ]
    device, _, number = settings.hardware.device.partition(":")
    if device == "mps":
        raise PublishingError("setting hardware.device: Triton has no mps; use backend.kind inprocess")
    if device != "cuda":
        return options
    return [*options, "--device", "gpu", *(("--gpu", number) if number else ())]
