"""Log lines on standard error, each with the id of the request that caused it."""

import json
import logging
import sys

from gateway.api.request_id import current_request_id
from gateway.settings import LoggingSettings

_TEXT = "%(asctime)s %(levelname)-7s %(request_id)s %(name)s: %(message)s"


class _RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request_id()
        return True


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "request_id": getattr(record, "request_id", "-"),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure_logging(settings: LoggingSettings) -> None:
    """Replace the root logger's handlers. For the process's owner (the command line), not for libraries."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_RequestIdFilter())
    handler.setFormatter(_JsonFormatter() if settings.format == "json" else logging.Formatter(_TEXT))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level)
    # It logs every address that it asks for, and links to pictures are signed.
    logging.getLogger("httpx").setLevel(logging.WARNING)
