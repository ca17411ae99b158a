"""Logs: one line per fact on standard output, JSON for machines or text for people.

The text of a line is fixed ("published", "stored") and the values are in fields (`message_id`, `seq`), so
that a search for one message id follows it through producer, consumer and viewer.

Logs are evidence: no value can break a line, forge one or make one go missing. Characters that control
terminals or the direction of text are escaped, long values are cut, and a record that cannot be formatted is
logged without its values.
"""

import io
import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS, LogData, merge_record_extra
from pythonjsonlogger.json import JsonEncoder, JsonFormatter

from pipeline.redaction import Mask
from pipeline.settings import RedactionSettings, Settings

MAX_VALUE_LENGTH = 1_000
MAX_TRACEBACK_LENGTH = 20_000
OWN_FIELDS = ("time", "exc_info")  # which are bounded already

# C0, DEL and C1, the line and paragraph separators, what changes the direction of text or cannot be seen
# ("Unicode Bidirectional Algorithm", UAX #9), and halves of surrogate pairs.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
# A value of one word in ASCII, which cannot be taken for several fields: without a space, quote, = and \.
_WORD = re.compile(r"[!#-<>-\[\]-~]+")
_FRAME = re.compile(r'[\s|]*File "')


def set_up_logging(service: str, settings: Settings) -> None:
    """Write every log record of this process to standard output, with the name of the service.

    With REDACT, the texts of errors are masked in tracebacks.
    """
    mask = Mask(settings.redacted_fields if isinstance(settings, RedactionSettings) else [])
    if isinstance(sys.stdout, io.TextIOWrapper):  # what the terminal cannot show would lose the line
        sys.stdout.reconfigure(errors="backslashreplace")
    handler = logging.StreamHandler(sys.stdout)
    text = settings.log_format == "text"
    handler.setFormatter(_TextFormatter(mask) if text else _JsonFormatter(service, mask))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    # These log every connection and endpoint; callers log what matters of it.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    logging.getLogger("botocore").setLevel(logging.WARNING)
    # No line shows these ("Logging HOWTO", Optimization).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    _log_what_nobody_catches()


def _log_what_nobody_catches() -> None:
    """Log errors that end a thread or the process; Python would print them as they are."""

    def log_error(kind: type[BaseException], error: BaseException | None, _: TracebackType | None) -> None:
        if error is not None and not issubclass(kind, KeyboardInterrupt | SystemExit):
            logging.getLogger("uncaught").critical("died", exc_info=error)

    sys.excepthook = log_error
    threading.excepthook = lambda died: log_error(died.exc_type, died.exc_value, died.exc_traceback)


class _SafeFormatter(logging.Formatter):
    """What both formats share: no record makes it fail, and tracebacks quote nothing that is masked."""

    _mask: Mask

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record; without its values if these cannot be formatted."""
        try:
            return super().format(record)
        except Exception as error:  # noqa: BLE001 - values of any class are logged, by any library
            return super().format(_without_values(record, error))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Return a traceback in which only its own lines are lines, not those of what an error says."""
        error = ei[1]
        if self._mask:
            return _cut(self._mask.traceback(error), MAX_TRACEBACK_LENGTH)
        parts = traceback.TracebackException.from_exception(error).format()
        return _cut("\n".join(map(_own_lines, parts)), MAX_TRACEBACK_LENGTH)


class _JsonFormatter(_SafeFormatter, JsonFormatter):
    """The library's formatter, with one encoder for all lines."""

    _encode = staticmethod(JsonEncoder().encode)

    def __init__(self, service: str, mask: Mask) -> None:
        super().__init__(
            "{message}",
            style="{",
            timestamp="time",
            rename_fields={"levelname": "level", "name": "logger"},
            static_fields={"service": service},
            reserved_attrs=[name for name in RESERVED_ATTRS if name not in ("levelname", "name")],
        )
        self._mask = mask

    def process_log_record(self, log_data: LogData) -> LogData:
        """Cut long values."""
        return {name: value if name in OWN_FIELDS else _value(value) for name, value in log_data.items()}

    def jsonify_log_record(self, log_data: LogData) -> str:
        """Return JSON in ASCII, in which all but DEL is escaped already."""
        return self._encode(log_data).replace("\x7f", "\\u007f")


class _PlainFormatter(logging.Formatter):
    """`12:03:07.412 INFO    stored  seq=41 message_id=…`: the same fields as in JSON.

    The lines of a traceback are indented, so that each line without an indent is a record.
    """

    def format(self, record: logging.LogRecord) -> str:
        fields = merge_record_extra(record, {}, reserved=RESERVED_ATTRS)
        text = " ".join(f"{_escape(str(name))}={_quoted(_value(value))}" for name, value in fields.items())
        time = f"{self.formatTime(record, '%H:%M:%S')}.{int(record.msecs):03d}"
        line = f"{time} {record.levelname:<7} {_escape(_cut(record.getMessage()))}" + (
            f"  {text}" if text else ""
        )
        trace = self.formatException(record.exc_info) if record.exc_info and record.exc_info[1] else ""
        return "\n".join([line, *(f"    {_escape(one)}" for one in trace.split("\n") if one)])


class _TextFormatter(_SafeFormatter, _PlainFormatter):
    def __init__(self, mask: Mask) -> None:
        super().__init__()
        self._mask = mask


def _without_values(record: logging.LogRecord, error: Exception) -> logging.LogRecord:
    message = record.msg if isinstance(record.msg, str) else ""
    # The message is an argument, not a template.
    line = (record.name, record.levelno, record.pathname, record.lineno, "%s", (message,), None)
    plain = logging.LogRecord(*line)
    plain.created, plain.msecs = record.created, record.msecs
    plain.not_logged = type(error).__name__
    if record.exc_info and record.exc_info[0]:
        plain.error_type = record.exc_info[0].__name__
    return plain


def _value(value: Any) -> Any:
    """Return a value of a field as it can be logged."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {_cut(str(name)): _value(inner) for name, inner in value.items()}
    return _cut(str(value))


def _cut(text: str, length: int = MAX_VALUE_LENGTH) -> str:
    return text if len(text) <= length else f"{text[:length]}… ({len(text):,} characters)"


def _own_lines(part: str) -> str:
    """Return a part of a traceback with the line breaks of frames, but not those of what errors say."""
    stripped = part.strip("\n")
    return stripped if _FRAME.match(stripped) else _escape(stripped)


def _quoted(value: Any) -> str:
    """Return a value for a line of text, in quotes if it is more than a word."""
    if isinstance(value, str):
        return value if _WORD.fullmatch(value) else _escape(json.dumps(value, ensure_ascii=False))
    return _escape(json.dumps(value, ensure_ascii=False, default=str))


def _escape(text: str) -> str:
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
