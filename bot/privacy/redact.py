"""The program's only log: event codes and small counts, never words, ids or tokens.

`configure_logging` makes one handler the only way out. What our own parts log goes through
`EventLog` and has no place for text. What a library logs is cut down to its logger's name
before anything can format it: httpx puts the bot's token into every line, viberbot the words.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, TextIO

EVENTS = frozenset(
    {
        # the program
        "started",
        "stopping",
        "stopped",
        "drain_late",
        "fault",
        "tick_failed",
        "unknown_event",
        "role_taken",
        "role_lost",
        "session_lost",
        "word_unheard",
        # intake
        "not_stored",
        "not_handled",
        "set_aside",
        "absence_not_kept",
        "presence_not_kept",
        "poll_failed",
        "update_dropped",
        "update_set_aside",
        "call_refused",
        "calls_unread",
        "webhook_refused",
        "group_left",
        "channel_stopped",
        # sending
        "kept_unknown",
        "not_removed",
        "outbox_unread",
        "delivery_failed",
        "fenced_off",
        "send_dropped",
        "send_failed",
        "send_refused",
        "send_unpaid",
        "medium_refused",
        "message_charged",
        "unauthorised",
        "account_unknown",
        "webhook_elsewhere",
        "not_reminded",
        "reminder_unknown",
        "window_dropped",
        # sends by what became of them: counted, and not written
        "sent",
        "unsent",
        "throttled",
        "unknown",
        "refused",
        "gone",
        "retried",
        # cases, desk, storage
        "login_shut",
        "logins_flooded",
        "bell_failed",
        "bell_unlinked",
        "bell_unreached",
        "forum_failed",
        "topic_not_deleted",
        "member_put_out",
        "member_not_put_out",
        "member_not_let_back",
        "traces_remain",
        "cases_lost",
        "unreadable",
        "fact_expired",
    }
)
"""Everything that can be logged. A new code is one line here."""

LARGEST = 999_999
"""A greater number is no count but perhaps somebody's id: it is cut to this."""

_WORD = re.compile(r"[a-z][a-z0-9_]{0,31}")
_LOGGER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*){0,6}")
_ROOT = "phen"
_OURS = frozenset({"bot", "dialogs", "scheduler"})

Count = int | float


class UnknownEvent(Exception):
    """A code or a count that is not meant for the log: a mistake of ours."""


class EventLog:
    """The log of one part of the program; a channel is a part, too.

    Before `configure_logging` (in tests) a wrong code or count raises; in the running program
    it is dropped and counted.
    """

    strict = True
    dropped = 0
    counted: ClassVar[Counter[tuple[str, str]]] = Counter()
    """How often each part told each code since the process began."""

    def __init__(self, part: str) -> None:
        if not _WORD.fullmatch(part):
            raise UnknownEvent
        self._part = part
        self._logger = logging.getLogger(f"{_ROOT}.{part}")

    def count(self, code: str, times: int = 1) -> None:
        """Count what happens too often for a line of its own."""
        if code in EVENTS:
            self.counted[self._part, code] += times
        else:
            self._drop()

    def event(self, code: str, **counts: Count) -> None:
        """Something happened."""
        self._write(logging.INFO, code, None, counts)

    def failed(self, code: str, error: BaseException | None = None, **counts: Count) -> None:
        """Something went wrong, and the program goes on."""
        self._write(logging.WARNING, code, error, counts)

    def alarm(self, code: str, error: BaseException | None = None, **counts: Count) -> None:
        """Something went wrong that a person must look at."""
        self._write(logging.ERROR, code, error, counts)

    def _write(
        self, level: int, code: str, error: BaseException | None, counts: dict[str, Count]
    ) -> None:
        if code not in EVENTS or not all(_is_count(*item) for item in counts.items()):
            code, counts = self._drop()
        else:
            self.counted[self._part, code] += 1
        words = [code, *(f"{key}={_small(value)}" for key, value in counts.items())]
        if error is not None:
            words.append(describe(error))
        line = _Line(" ".join(words))
        self._logger.log(level, line, extra={"phen_line": line})

    def _drop(self) -> tuple[str, dict[str, Count]]:
        if EventLog.strict:
            raise UnknownEvent
        EventLog.dropped += 1
        return "unknown_event", {"dropped": EventLog.dropped}


class _Line(str):
    """A line that `EventLog` made; nobody else's text is of this type."""

    __slots__ = ()


def configure_logging(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Make `stream` (the standard error) the only log, and safe at every level.

    Other handlers are taken off their loggers, warnings and uncaught exceptions are caught.
    """
    EventLog.strict = False
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(RedactingFormatter())
    logging.raiseExceptions = False  # else a failing handler prints the message it was given
    logging.lastResort = None
    logging.setLogRecordFactory(_bare_record)
    for name in list(logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.filters.clear()
        logger.propagate = True
    logging.root.handlers[:] = [handler]
    logging.getLogger(_ROOT).setLevel(level.upper())
    quiet = level.upper() in ("INFO", "WARNING")  # a library's info says nothing without words
    logging.root.setLevel("WARNING" if quiet else level.upper())
    logging.captureWarnings(True)
    install_hooks()


class RedactingFormatter(logging.Formatter):
    """`time level code counts` for ours, `time level logger` for everybody else's."""

    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        line = record.__dict__.get("phen_line")
        if isinstance(line, _Line):
            return f"{when} {record.levelname} {record.name.removeprefix('phen.')} {line}"
        words = [when, _level(record.levelno), _logger_name(record.name)]
        fault = record.__dict__.get("phen_fault") or _fault_of(record.exc_info)
        return " ".join([*words, fault]) if fault else " ".join(words)


def describe(error: BaseException) -> str:
    """An exception as class and line: of the innermost frame, and of ours if that is another."""
    innermost, ours = _frames(error.__traceback__)
    words = [type(error).__name__]
    if innermost:
        words.append(f"at {innermost}")
    if ours and ours != innermost:
        words.append(f"from {ours}")
    return " ".join(words)


def install_hooks() -> None:
    """Uncaught exceptions of the program and its threads leave as class and line."""
    log = EventLog("program")

    def uncaught(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        log.alarm("fault", error)

    def in_thread(args: threading.ExceptHookArgs) -> None:
        log.alarm("fault", args.exc_value)

    def unraisable(args: Any) -> None:
        log.alarm("fault", args.exc_value)

    sys.excepthook = uncaught
    threading.excepthook = in_thread
    sys.unraisablehook = unraisable


def install_loop_handler(loop: asyncio.AbstractEventLoop) -> None:
    """What nobody awaited leaves as class and line, too."""
    log = EventLog("program")

    def handle(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        log.alarm("fault", context.get("exception"))

    loop.set_exception_handler(handle)


_plain_record: Callable[..., logging.LogRecord] = logging.LogRecord


def _bare_record(
    name: str, level: int, path: str, line: int, msg: object, args: Any, exc_info: Any,
    func: str | None = None, sinfo: str | None = None, **extra: object,
) -> logging.LogRecord:  # fmt: skip
    """A record without its message: whichever handler a library adds finds nothing in it."""
    record = _plain_record(name, level, path, line, "", (), None, func, None)
    record.phen_fault = _fault_of(exc_info)
    return record


def _fault_of(exc_info: Any) -> str:
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    return describe(error) if isinstance(error, BaseException) else ""


def _frames(trace: TracebackType | None) -> tuple[str, str]:
    innermost = ours = ""
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        innermost = f"{'/'.join(path.parts[-3:])}:{trace.tb_lineno}"
        if _OURS.intersection(path.parts) and "site-packages" not in path.parts:
            ours = innermost
        trace = trace.tb_next
    return innermost, ours


def _is_count(key: str, value: object) -> bool:
    return isinstance(value, int | float) and _WORD.fullmatch(key) is not None


def _small(value: Count) -> str:
    within = max(-LARGEST, min(LARGEST, value))
    return f"{within:g}" if isinstance(within, float) else str(int(within))


def _level(number: int) -> str:
    return {10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}.get(number, "LOG")


def _logger_name(name: str) -> str:
    return name if _LOGGER.fullmatch(name) and len(name) <= 60 else "other"
