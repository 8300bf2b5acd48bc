"""The log: one JSON object a line on stderr, with the id of the request, and nothing that anybody said."""

import asyncio
import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


class JsonLines(logging.Formatter):
    """A record as a line of JSON; what `extra={"fields": {...}}` holds stands beside time and message."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **({"request_id": request_id.get()} if request_id.get() else {}),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def is_told(record: logging.LogRecord) -> bool:
    """Not that something was cancelled, which is no error: whoever did it says so once, and how many there were."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def to_stderr() -> None:
    """Send our own and uvicorn's records to stderr as JSON lines, and of all other loggers the warnings.

    An HTTP client's log, for one, holds addresses that users gave.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    handler.addFilter(is_told)
    logging.basicConfig(level="WARNING", handlers=[handler], force=True)
    for ours in ("thinktalk", "uvicorn"):
        logging.getLogger(ours).setLevel("INFO")
