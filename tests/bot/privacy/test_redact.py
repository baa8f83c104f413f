"""Whatever is logged, by whomever, at whatever level: no word, no id, no token comes out."""

from __future__ import annotations

import ast
import asyncio
import io
import logging
import logging.config
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from bot.privacy import redact
from bot.privacy.redact import (
    EVENTS,
    EventLog,
    UnknownEvent,
    configure_logging,
    describe,
    install_loop_handler,
)

TOKEN = "7301:AAE-secret-token"
WORDS = "той ме удари"
LIBRARIES = (
    "telegram.ext", "httpx", "httpcore.http11", "aiohttp.access", "sqlalchemy.engine.Engine",
    "uvicorn.access", "uvicorn.error", "apscheduler.scheduler", "asyncio", "aiosqlite",
    "alembic.runtime.migration", "viber.bot.api", "py.warnings", "root",
)  # fmt: skip


@pytest.fixture
def out() -> io.StringIO:
    """All that this test's own thread logs: a database that the test before has just closed may
    still be saying so, from its own."""
    stream, mine = io.StringIO(), threading.get_ident()
    configure_logging("DEBUG", stream)
    (handler,) = logging.root.handlers
    handler.addFilter(lambda record: record.thread == mine)
    return stream


def lines(out: io.StringIO) -> list[str]:
    """What came out, without the time."""
    return [line.split(" ", 1)[1] for line in out.getvalue().splitlines()]


def clean(out: io.StringIO) -> bool:
    return not [secret for secret in (TOKEN, WORDS, "7301", "удари") if secret in out.getvalue()]


def test_an_event_is_one_line_of_code_and_counts(out: io.StringIO) -> None:
    EventLog("telegram").event("poll_failed", seconds=3, share=0.25)
    assert lines(out) == ["INFO telegram poll_failed seconds=3 share=0.25"]
    assert out.getvalue()[10] == "T"
    assert out.getvalue()[19:21] == "Z "


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_library_says_only_that_it_spoke(
    out: io.StringIO, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger(name)
    monkeypatch.setattr(logger, "isEnabledFor", lambda _: True)  # SQLAlchemy sets its own level
    logger.debug("POST https://api.telegram.org/bot%s/sendMessage", TOKEN)
    logger.error(f"text={WORDS}", extra={"body": WORDS}, stack_info=True)
    assert lines(out) == [f"DEBUG {name}", f"ERROR {name}"]
    assert clean(out)


def test_a_handler_that_a_library_adds_later_finds_nothing(out: io.StringIO) -> None:
    own = io.StringIO()
    handler = logging.StreamHandler(own)
    handler.setFormatter(logging.Formatter("%(message)s %(args)s %(exc_text)s"))
    logging.getLogger("httpx").addHandler(handler)
    try:
        raise ValueError(WORDS)
    except ValueError:
        logging.getLogger("httpx").exception("bot%s", TOKEN)
    finally:
        logging.getLogger("httpx").removeHandler(handler)
    assert own.getvalue().strip() == "() None"
    assert clean(out)


def test_handlers_from_before_are_taken_off() -> None:
    before, stream = io.StringIO(), io.StringIO()
    logging.getLogger("early").addHandler(logging.StreamHandler(before))
    logging.getLogger("early").propagate = False
    configure_logging("INFO", stream)
    logging.getLogger("early").warning(TOKEN)
    assert before.getvalue() == ""
    assert lines(stream) == ["WARNING early"]


def test_a_logger_named_after_a_token_is_called_other(out: io.StringIO) -> None:
    logging.getLogger(f"bot{TOKEN}").warning("x")
    logging.getLogger("y" * 99).warning("x")
    assert lines(out) == ["WARNING other", "WARNING other"]


def test_our_own_plain_logging_is_cut_down_too(out: io.StringIO) -> None:
    logging.getLogger("phen.telegram").info(WORDS)
    logging.getLogger("phen.telegram").info("x", extra={"phen_line": WORDS})
    assert lines(out) == ["INFO phen.telegram"] * 2


def failing() -> ValueError:
    try:
        raise ValueError(WORDS) from RuntimeError(TOKEN)
    except ValueError as error:
        return error


def test_an_exception_is_class_and_line(out: io.StringIO) -> None:
    EventLog("telegram").failed("send_failed", failing(), attempts=2)
    (line,) = lines(out)
    assert line.startswith("WARNING telegram send_failed attempts=2 ValueError at bot/privacy/")
    assert clean(out)
    EventLog("telegram").alarm("fault", ValueError(WORDS))
    assert lines(out)[1] == "ERROR telegram fault ValueError"


def test_a_library_that_logs_an_exception_names_its_line_and_not_its_text(
    out: io.StringIO,
) -> None:
    try:
        raise KeyError(WORDS)
    except KeyError:
        logging.getLogger("aiohttp.server").exception("Error handling %s", WORDS)
    (line,) = lines(out)
    assert line.startswith("ERROR aiohttp.server KeyError at ")
    assert clean(out)


def test_an_exception_in_a_library_names_our_line_too() -> None:
    with pytest.raises(SyntaxError) as caught:
        ast.parse(WORDS + "(")
    said = describe(caught.value)
    assert "/ast.py:" in said
    assert " from bot/privacy/test_redact.py:" in said
    assert WORDS not in said


def test_uncaught_exceptions_show_no_text(
    out: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    error = failing()
    sys.excepthook(type(error), error, error.__traceback__)
    thread = SimpleNamespace(exc_value=error)
    threading.excepthook(thread)  # type: ignore[arg-type]
    sys.unraisablehook(thread)
    assert [line.split(" at ")[0] for line in lines(out)] == ["ERROR program fault ValueError"] * 3
    assert clean(out)
    assert capsys.readouterr() == ("", "")


async def test_a_task_that_nobody_awaited_shows_no_text(out: io.StringIO) -> None:
    loop = asyncio.get_running_loop()
    install_loop_handler(loop)
    loop.call_exception_handler({"message": WORDS, "exception": failing()})
    loop.call_exception_handler({"message": WORDS, "task": WORDS})
    assert lines(out)[-1] == "ERROR program fault"
    assert clean(out)


def test_a_warning_shows_no_text(out: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)  # pytest's own catching stands in between
        logging.captureWarnings(True)
        warnings.warn(WORDS, stacklevel=1)
        logging.captureWarnings(False)
    assert lines(out) == ["WARNING py.warnings"]


def test_a_message_that_cannot_be_formatted_is_not_printed(
    out: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger("httpx").warning("%d %s", TOKEN)
    assert lines(out) == ["WARNING httpx"]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("code", "counts"),
    [(WORDS, {}), ("poll_failed", {"text": WORDS}), ("poll_failed", {"дума": 1})],
)
def test_what_is_not_meant_for_the_log_fails_a_test_and_is_dropped_in_production(
    code: str, counts: dict[str, int]
) -> None:
    log = EventLog("telegram")
    with pytest.raises(UnknownEvent):
        log.event(code, **counts)
    stream = io.StringIO()
    configure_logging("INFO", stream)
    log.event(code, **counts)
    log.event(code, **counts)
    assert lines(stream) == [f"INFO telegram unknown_event dropped={n}" for n in (1, 2)]


def test_an_id_that_poses_as_a_count_is_cut(out: io.StringIO) -> None:
    EventLog("telegram").event("group_left", count=7301999555, age=-7301999555.0)
    assert lines(out) == [f"INFO telegram group_left count={redact.LARGEST} age=-999999"]


def test_a_quiet_level_is_kept() -> None:
    stream = io.StringIO()
    configure_logging("warning", stream)
    EventLog("telegram").event("started")
    logging.getLogger("httpx").info("x")
    EventLog("telegram").failed("poll_failed")
    assert lines(stream) == ["WARNING telegram poll_failed"]


def calls() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted(Path(redact.__file__).parents[1].rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(
                        value=ast.Name("log") | ast.Attribute(attr="_log"),
                        attr="event" | "failed" | "alarm",
                    )
                ):
                    yield f"{path.name}:{node.lineno}", node


def test_every_code_written_in_the_program_is_on_the_list() -> None:
    unlisted = {}
    for where, call in calls():
        code = call.args[0]
        if isinstance(code, ast.Constant) and code.value not in EVENTS:
            unlisted[where] = code.value
    assert unlisted == {}
