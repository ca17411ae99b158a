"""Logs are evidence: no input forges, breaks or drops a line, in either format."""

import io
import json
import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config
from hypothesis import given
from hypothesis import strategies as st

from pipeline.logs import MAX_VALUE_LENGTH, set_up_logging
from pipeline.redaction import MASK
from pipeline.settings import RedactionSettings
from viewer.server.gunicorn_logging import GunicornLogger

log = logging.getLogger("test")
FORMATS = ["json", "text"]
RECORD = re.compile(r"\d\d:\d\d:\d\d\.\d{3} (DEBUG|INFO|WARNING|ERROR|CRITICAL) ")
HOSTILE = st.one_of(
    st.text(),
    st.text("\r\n\t\x00\x1b\x7f\x85\u2028\u2029\u202e\u2066\ufeff\ud800\udfff \"'\\={}%s", max_size=20),
    st.sampled_from(
        ["x\n12:00:00.000 INFO    forged", '"}\n{"message": "forged"}', "%s %d", "\x1b[2J", "\x9b31m"]
    ),
)


class Hostile:
    """An object that cannot be described."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class HostileError(Exception):
    """An error that cannot be described."""

    def __str__(self) -> str:
        raise RuntimeError("no")


def as_json_has_it(text: str) -> str:
    """Return a text with both halves of a pair as one character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Callable[[], list[str]]]]:
    """Set logs up in a format: `lines("text")` returns what reads the lines written since."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    hooks = sys.excepthook, threading.excepthook

    def start(log_format: str, encoding: str = "utf-8", **settings: Any) -> Callable[[], list[str]]:
        written = io.BytesIO()
        stdout = io.TextIOWrapper(written, encoding=encoding, write_through=True)
        monkeypatch.setattr("sys.stdout", stdout)
        set_up_logging("viewer", RedactionSettings.model_validate({"log_format": log_format, **settings}))

        def read() -> list[str]:
            text = written.getvalue().decode(encoding)
            written.seek(0)
            written.truncate()
            assert text.endswith("\n")
            return text[:-1].splitlines()  # at each sign that may be taken for the end of a line

        return read

    yield start
    root.handlers, root.level = before
    sys.excepthook, threading.excepthook = hooks


@pytest.mark.parametrize("log_format", FORMATS)
def test_no_value_breaks_or_forges_a_line(lines: Callable[..., Any], log_format: str) -> None:
    read = lines(log_format)

    @given(message=HOSTILE, value=HOSTILE, name=HOSTILE.filter(lambda name: not hasattr(log, name)))
    def check(message: str, value: str, name: str) -> None:
        extra = {"message_id": value, f"x{name}": value}
        log.info("%s", message, extra=extra)
        log.info(message, extra=extra)

        for line in read():
            if log_format == "json":
                fields = json.loads(line)
                assert line.isascii()
                assert line.isprintable()
                assert (fields["service"], fields["level"]) == ("viewer", "INFO")
                assert fields["message"] == as_json_has_it(message)
                assert fields["message_id"] == as_json_has_it(value)
            else:
                assert RECORD.match(line)
                assert not re.search("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", line)
                assert " forged" not in line.split("  message_id=")[0] or "forged" in message

    check()


def test_a_value_of_a_text_line_cannot_be_taken_for_two_fields(lines: Callable[..., Any]) -> None:
    read = lines("text")

    log.info("stored", extra={"message_id": 'a seq=7 source="/x"', "seq": 1})

    [line] = read()
    assert line.endswith(r'stored  message_id="a seq=7 source=\"/x\"" seq=1')


@pytest.mark.parametrize("log_format", FORMATS)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_an_error_is_one_record_whatever_it_says(
    lines: Callable[..., Any], log_format: str, encoding: str
) -> None:
    read = lines(log_format, encoding)

    @given(text=HOSTILE)
    def check(text: str) -> None:
        try:
            try:
                raise KeyError(text)
            except KeyError as error:
                raise ValueError(text) from error
        except ValueError:
            log.exception("failed")

        first, *others = read()
        if log_format == "json":
            assert not others
            assert "ValueError" in json.loads(first)["exc_info"]
        else:
            assert RECORD.match(first)
            assert all(line.startswith("    ") for line in others)
            assert [line for line in others if line.startswith("    ValueError")]

    check()


@pytest.mark.parametrize("log_format", FORMATS)
@pytest.mark.parametrize("error", [HostileError(), None])
def test_logging_never_fails(
    lines: Callable[..., Any], log_format: str, error: Exception | None, capfd: pytest.CaptureFixture[str]
) -> None:
    read = lines(log_format)

    log.info("with %s", Hostile())
    log.info("with %d", "text")
    log.info("field", extra={"value": Hostile()})
    log.info("inside", extra={"value": {"of": Hostile()}})
    log.error("failed", exc_info=error)

    found = [line for line in read() if not line.startswith("    ")]
    assert len(found) == 5
    assert all("not_logged" in line for line in found[:4])
    assert "failed" in found[4]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("log_format", FORMATS)
def test_long_values_are_cut(lines: Callable[..., Any], log_format: str) -> None:
    read = lines(log_format)

    log.info("x" * 300_000, extra={"message_id": "y" * 300_000})

    [line] = read()
    assert len(line) < 2 * MAX_VALUE_LENGTH + 500
    assert "300,000 characters" in line


@pytest.mark.parametrize("log_format", FORMATS)
def test_with_redact_tracebacks_quote_nothing(lines: Callable[..., Any], log_format: str) -> None:
    read = lines(log_format, redact="data.card")

    texts = ["secret-1", "secret-2"]
    try:
        try:
            raise KeyError(texts[0])
        except KeyError as error:
            raise ValueError(texts[1]) from error
    except ValueError:
        log.exception("failed")

    text = "\n".join(read())
    assert "secret-1" not in text
    assert "secret-2" not in text
    assert "test_logs.py" in text
    assert "ValueError" in text
    assert MASK in text or "\\u2022" in text


def test_what_nobody_catches_is_a_line_too(
    lines: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    read = lines("json")

    def die() -> None:
        raise ValueError("x\n{}")

    thread = threading.Thread(target=die)
    thread.start()
    thread.join()

    [line] = read()
    assert json.loads(line)["level"] == "CRITICAL"
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("log_format", FORMATS)
def test_a_request_that_could_not_be_parsed_is_one_line(lines: Callable[..., Any], log_format: str) -> None:
    read = lines(log_format)
    logger = GunicornLogger(Config())

    logger.access(SimpleNamespace(status="400 Bad Request"), None, {}, timedelta(0))
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/x\n12:00:00.000 INFO    forged\x1b[2J"}
    logger.access(SimpleNamespace(status=404), None, environ, timedelta(0))

    first, second = read()
    assert "? ? 400" in first
    assert "forged\\u001b[2J 404" in second
