"""A wrong setting ends the start with one line that names it, its value and what is allowed."""

import pytest

from consumer.settings import ConsumerSettings
from local.settings import RunSettings
from pipeline.settings import load_settings
from producer.settings import ProducerSettings
from viewer.settings import ViewerSettings

AnySettings = type[ProducerSettings] | type[ConsumerSettings] | type[ViewerSettings] | type[RunSettings]


@pytest.fixture(autouse=True)
def database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:hunter2@host/database")


@pytest.mark.parametrize(
    ("settings", "variable", "value", "said"),
    [
        (ProducerSettings, "PORT", "70000", "less than or equal to 65535"),
        (ProducerSettings, "PORT", "http", "valid integer"),
        (ProducerSettings, "LOG_LEVEL", "LOUD", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        (ProducerSettings, "LOG_FORMAT", "xml", "'json' or 'text'"),
        (ProducerSettings, "TOPIC_NAME", "a topic", "pattern"),
        (ProducerSettings, "TOPIC_NAME", "orders.fifo.fifo", "pattern"),
        (ProducerSettings, "MESSAGE_GROUPS", "2", "is not a FIFO topic"),
        (ProducerSettings, "MIN_INTERVAL_SECONDS", "-1", "greater than or equal to 0"),
        (ProducerSettings, "MIN_INTERVAL_SECONDS", "11", "should not exceed MAX_INTERVAL_SECONDS=10"),
        (ProducerSettings, "RATE_PER_SECOND", "0", "greater than 0"),
        (ConsumerSettings, "POLLERS", "0", "greater than or equal to 1"),
        (ConsumerSettings, "WAIT_TIME_SECONDS", "21", "less than or equal to 20"),
        (ConsumerSettings, "STALL_SECONDS", "20", "at least 30"),
        (ConsumerSettings, "HANDLER", "orders", "neither store nor package.module:callable"),
        (ConsumerSettings, "FAULTS", "fail=2", "a share from 0 to 1"),
        (ConsumerSettings, "WATCH", "orders,,payments", "is no name of a topic"),
        (ConsumerSettings, "WATCH", "orders?", "is no name of a topic"),
        (ConsumerSettings, "WATCH", "!", "is no name of a topic"),
        (ConsumerSettings, "WATCH", ",".join(51 * "a"), "at most 50 patterns"),
        (ConsumerSettings, "TAP_NAME", "a tap", "pattern"),
        (ConsumerSettings, "TAP_NAME", "tap.fifo", "pattern"),
        (ConsumerSettings, "WATCH_ONLY", "1", "WATCH is not set"),
        (ConsumerSettings, "RETENTION_MESSAGES", "0", "greater than or equal to 1"),
        (ViewerSettings, "MAX_CONNECTIONS", "0", "greater than or equal to 1"),
        (ViewerSettings, "QUEUE_NAME", "orders.fifo", "'broadcasts' is a standard topic"),
        (ViewerSettings, "ALLOWED_HOSTS", "https://fanout.example", "pattern"),
        (ViewerSettings, "FORWARDED_ALLOW_IPS", "10.0.0.1/8", "has host bits set"),
        (ViewerSettings, "FORWARDED_ALLOW_IPS", "proxy", "IPv4 or IPv6 network"),
        (RunSettings, "EMULATOR", "moto", "'ministack' or 'localstack'"),
        (RunSettings, "AWS_PORT", "5000", "VIEWER_PORT is the same"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(
    settings: AnySettings, variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(SystemExit) as exit_:
        load_settings(settings)

    [line] = str(exit_.value).splitlines()
    assert line.startswith(f"{variable}=")
    assert value in line
    assert "is not allowed" in line
    assert said in line


def test_a_fifo_queue_needs_a_fifo_topic_and_a_fifo_topic_may_lead_to_a_standard_queue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOPIC_NAME", "orders")
    monkeypatch.setenv("QUEUE_NAME", "shipping.fifo")

    with pytest.raises(SystemExit, match=r"^QUEUE_NAME='shipping.fifo' is not allowed: TOPIC_NAME='orders'"):
        load_settings(ConsumerSettings)

    monkeypatch.setenv("TOPIC_NAME", "orders.fifo")
    assert load_settings(ConsumerSettings).queue_name == "shipping.fifo"
    monkeypatch.setenv("QUEUE_NAME", "shipping")
    assert load_settings(ConsumerSettings).queue_name == "shipping"


def test_every_wrong_variable_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "x")
    monkeypatch.setenv("POLLERS", "x")

    with pytest.raises(SystemExit) as exit_:
        load_settings(ConsumerSettings)

    assert [line.partition("=")[0] for line in str(exit_.value).splitlines()] == ["PORT", "POLLERS"]


def test_a_missing_database_is_named_with_its_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL")

    with pytest.raises(
        SystemExit, match=r"DATABASE_URL is not set: .*postgresql://user:password@host/database"
    ):
        load_settings(ConsumerSettings)


def test_a_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://user:hunter2@host/database")

    with pytest.raises(SystemExit) as exit_:
        load_settings(ConsumerSettings)

    assert str(exit_.value).startswith("DATABASE_URL is not allowed: should begin with postgresql://")
    assert "hunter2" not in str(exit_.value)


@pytest.mark.parametrize("wanted", ["", "&target_session_attrs=read-write", "&target_session_attrs=primary"])
def test_the_database_may_have_several_servers(monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    url = f"postgresql://user:hunter2@one:5432,two:5433/database?sslmode=require{wanted}"
    monkeypatch.setenv("DATABASE_URL", url)

    assert load_settings(ConsumerSettings).database_url.get_secret_value() == url


@pytest.mark.parametrize("wanted", ["standby", "read-only", "prefer-standby", ""])
def test_a_database_that_cannot_be_written_to_is_refused(
    monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://u:hunter2@one,two/db?target_session_attrs={wanted}")

    with pytest.raises(SystemExit, match="target_session_attrs should be one of read-write") as exit_:
        load_settings(ConsumerSettings)

    assert "hunter2" not in str(exit_.value)


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "")

    assert load_settings(ProducerSettings).port == 5000


@pytest.mark.parametrize("token", ["a", "fifteen-letters", " " * 20 + "short", "short\n" + "\n" * 20])
def test_a_token_that_could_be_guessed_is_refused_and_not_shown(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIEWER_TOKEN", token)

    with pytest.raises(SystemExit) as exit_:
        load_settings(ViewerSettings)

    [line] = str(exit_.value).splitlines()
    assert line.startswith("VIEWER_TOKEN is not allowed: should have at least 16 characters")
    assert token.strip() not in line.removesuffix("control)").replace("access", "").split()


def test_a_token_from_a_file_may_end_with_a_line_break(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIEWER_TOKEN", "sixteen-letters!\n")

    token = load_settings(ViewerSettings).viewer_token

    assert token
    assert token.get_secret_value() == "sixteen-letters!"
