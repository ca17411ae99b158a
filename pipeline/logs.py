"""Logs: one line per fact on standard output, JSON for machines or text for people.

The text of a line is fixed ("published", "stored") and the values are in fields (`message_id`, `seq`), so
that a search for one message id follows it through producer, consumer and viewer.
"""

import logging
import sys

from pythonjsonlogger.core import RESERVED_ATTRS, LogData, merge_record_extra
from pythonjsonlogger.json import JsonEncoder, JsonFormatter

from pipeline.settings import Settings


def set_up_logging(service: str, settings: Settings) -> None:
    """Write every log record of this process to standard output, with the name of the service."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_TextFormatter() if settings.log_format == "text" else _json_formatter(service))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    # These log every connection and endpoint; callers log what matters of it.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    logging.getLogger("botocore").setLevel(logging.WARNING)
    # No line shows these ("Logging HOWTO", Optimization).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def _json_formatter(service: str) -> logging.Formatter:
    return _JsonFormatter(
        "{message}",
        style="{",
        timestamp="time",
        rename_fields={"levelname": "level", "name": "logger"},
        static_fields={"service": service},
        reserved_attrs=[name for name in RESERVED_ATTRS if name not in ("levelname", "name")],
    )


class _JsonFormatter(JsonFormatter):
    """The library's formatter, with one encoder for all lines."""

    _encode = staticmethod(JsonEncoder().encode)

    def jsonify_log_record(self, log_data: LogData) -> str:
        return self._encode(log_data)


class _TextFormatter(logging.Formatter):
    """`12:03:07.412 INFO    stored  seq=41 message_id=…`: the same fields as in JSON."""

    def format(self, record: logging.LogRecord) -> str:
        fields = merge_record_extra(record, {}, reserved=RESERVED_ATTRS)
        text = " ".join(f"{name}={value}" for name, value in fields.items())
        time = f"{self.formatTime(record, '%H:%M:%S')}.{int(record.msecs):03d}"
        line = f"{time} {record.levelname:<7} {record.getMessage()}" + (f"  {text}" if text else "")
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line
