"""Keeps other libraries' notices (progress bars, advice, the exporter's internals) off our users' terminals."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

_LOGGERS = (
    "torch.onnx",
    "torch.export",
    "torch.utils",
    "torch.fx",
    "onnxscript",
    "onnx_ir",
    "diffusers",
    "transformers",
)


@contextmanager
def quiet() -> Iterator[None]:
    """Only errors get through; levels are put back afterwards, progress bars stay off."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
