"""Publishes the models before they are served, in a child process: compiling needs torch, and the gateway must not."""

import asyncio
import contextlib
import logging
import sys

from gateway.settings import Settings

logger = logging.getLogger(__name__)

_STOP_SECONDS = 10.0


class PublishingError(RuntimeError):
    """The models could not be published; the reasons were logged line by line."""


async def publish_models(settings: Settings) -> None:
    """Build, verify and publish what is missing. Raises PublishingError. Cancelling stops the child."""
    command = ["-m", "triptych", "export", "publish", "--runtime-dir", str(settings.runtime_directory)]
    for directory in settings.models.directories:
        command += ["--models-dir", str(directory)]
    command += ["--runtime", settings.backend.runtime, "--threads", str(settings.backend.threads or 0)]
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
