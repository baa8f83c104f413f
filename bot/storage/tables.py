"""The tables. Whatever is a woman's stands in them sealed, from the first migration on.

Names ending in `_index`, `_key` or `_hash` are keyed or plain fingerprints. A change here needs
a new migration beside it; a migration that has shipped is never edited.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcTime(TypeDecorator[datetime]):
    """A moment: aware on both sides, UTC in the database."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _id() -> Column[str]:
    return Column("id", String(32), primary_key=True)


def _case_id() -> Column[str]:
    target = ForeignKey("cases.id", ondelete="CASCADE")
    return Column("case_id", String(32), target, nullable=False)


staff = Table(
    "staff",
    metadata,
    _id(),
    Column("login", String(128), nullable=False, unique=True),
    Column("alias", String(128), nullable=False),
    Column("roles", String(128), nullable=False),  # sorted, parted by commas
    Column("state", String(16), nullable=False),
    Column("password_hash", String(512)),
    Column("totp_secret", LargeBinary),  # sealed
    Column("last_totp_step", Integer),
    Column("invite_hash", LargeBinary, unique=True),
    Column("invite_expires_at", UtcTime),
    Column("created_at", UtcTime, nullable=False),
    Column("languages", String(64), nullable=False, server_default="bg"),  # parted by commas
    Column("bell_address", LargeBinary),  # sealed: her chat with the desk's bot
    Column("bell_index", LargeBinary),
    Column("bell_code_hash", LargeBinary),
    Column("bell_code_expires_at", UtcTime),
    Column("known_since", UtcTime),  # a browser that knows her from before is a stranger's
)
Index(None, staff.c.bell_index, unique=True)

cases = Table(
    "cases",
    metadata,
    _id(),
    Column("alias", String(128), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("language", String(16), nullable=False),
    Column("address_index", LargeBinary, nullable=False),
    Column("address", LargeBinary, nullable=False),  # sealed
    Column("topic", LargeBinary),  # sealed under the case's key
    Column("place", LargeBinary),  # sealed under the case's key
    Column("wrapped_key", LargeBinary),  # the case's key, under the day's
    Column("day_key", String(24)),  # which day's
    Column("opened_at", UtcTime, nullable=False),
    Column("last_woman_at", UtcTime, nullable=False),
    Column("last_at", UtcTime, nullable=False),
    Column("claimed_by", String(32), ForeignKey("staff.id")),
    Column("claimed_at", UtcTime),  # while it waits: since when it does so again
    Column("closed_at", UtcTime),
    Column("present", Boolean, nullable=False),
    Column("told", Integer, nullable=False),
    Column("looked", Integer, nullable=False),  # number up to which the desk has read
    Column("last_number", Integer, nullable=False),
    Column("bell_round", Integer, nullable=False, server_default="0"),
    Column("bell_at", UtcTime),
    Column("passed_at", UtcTime),
    Column("answered", Boolean, nullable=False, server_default=false()),
    Column("media_allowed", Boolean, nullable=False, server_default=false()),
    Column("nudge_hours", String(16)),
    Column("nudge_words", String(32)),
    Column("nudged_at", UtcTime),
    Column("absent_since", UtcTime),
    Column("present_in", String(32)),  # the process that has her page open; null: the intake's
    Column("fence", Integer, nullable=False, server_default="0"),  # number of the last lease
    Column("leased_by", String(32)),  # the process that sends to her now
    Column("leased_until", UtcTime),
)
_OPEN = text("state <> 'closed'")
Index(
    "uq_cases_one_open",
    cases.c.address_index,
    unique=True,
    sqlite_where=_OPEN,
    postgresql_where=_OPEN,
)
Index(None, cases.c.address_index)
Index(None, cases.c.claimed_by)
Index(None, cases.c.state, cases.c.closed_at)
_LEASED = text("leased_by IS NOT NULL")
Index("ix_cases_leased_by", cases.c.leased_by, sqlite_where=_LEASED, postgresql_where=_LEASED)
Index(None, cases.c.day_key)

messages = Table(
    "messages",
    metadata,
    _id(),
    _case_id(),
    Column("number", Integer, nullable=False),
    Column("author", String(16), nullable=False),
    Column("staff_id", String(32), ForeignKey("staff.id")),
    Column("text", LargeBinary, nullable=False),  # sealed under the case's key
    Column("at", UtcTime, nullable=False),
    Column("state", String(16), nullable=False),
    Column("delivery_key", LargeBinary, nullable=False, unique=True),
    Column("covered", Boolean, nullable=False, server_default=false()),
    Column("edited", Boolean, nullable=False, server_default=false()),
    Column("medium", String(16)),
    UniqueConstraint("case_id", "number"),
)


def _message_id() -> Column[str]:
    target = ForeignKey("messages.id", ondelete="CASCADE")
    return Column("message_id", String(32), target, primary_key=True)


# A row here goes as soon as its photo or voice is delivered.
media = Table(
    "media",
    metadata,
    _message_id(),
    Column("data", LargeBinary, nullable=False),  # sealed under the case's key
)

# A row here is a message still to be sent: once it is settled, the row goes.
outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("cause", String(64), nullable=False),
    Column("n", Integer, nullable=False),
    _case_id(),
    Column(
        "message_id",
        String(32),
        ForeignKey("messages.id", ondelete="CASCADE"),
        nullable=False,
        unique=True,
    ),
    Column("number", Integer, nullable=False),
    Column("sending", Boolean, nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("what", String(16), nullable=False, server_default="say"),
    Column("tried_at", UtcTime),  # when it was tried for the first time
    UniqueConstraint("cause", "n"),
    sqlite_autoincrement=True,  # an id is never used again: a late settle hits nobody else's row
)
Index(None, outbox.c.case_id, outbox.c.number)

handles = Table(
    "handles",
    metadata,
    _id(),
    _case_id(),
    Column("handle", LargeBinary, nullable=False),  # sealed
    Column("at", UtcTime, nullable=False),
    Column("message_id", String(32)),  # whose handle it is, where that is known
)
Index(None, handles.c.case_id)
Index(None, handles.c.message_id)
Index(None, handles.c.at)

media_ids = Table(
    "media_ids",
    metadata,
    Column("channel", String(16), primary_key=True),
    Column("digest", String(128), primary_key=True),
    Column("file_id", String(512), nullable=False),
)

receptions = Table(
    "receptions",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("municipality", String(16), nullable=False),
    Column("place", String(256), nullable=False),
    Column("starts_at", UtcTime, nullable=False),
    Column("ends_at", UtcTime, nullable=False),
    Column("landmark", String(512), nullable=False),
    Column("attends", String(512), nullable=False),
    Column("public_name", String(256), nullable=False),
    Column("state", String(16), nullable=False),
    Column("uid", String(512), nullable=False, server_default=text("''")),
    Column("sequence", Integer, nullable=False, server_default="0"),
)
Index(None, receptions.c.municipality, receptions.c.starts_at)
_NAMED = text("uid <> ''")
Index(None, receptions.c.uid, unique=True, sqlite_where=_NAMED, postgresql_where=_NAMED)

# Who wants to be reminded. Nothing here says when she asked, or what she read.
subscriptions = Table(
    "subscriptions",
    metadata,
    _id(),
    Column("channel", String(16), nullable=False),
    Column("address_index", LargeBinary, nullable=False),
    Column("address", LargeBinary),  # sealed; none where nothing is sent
    Column("language", String(16), nullable=False),
    Column("municipality", String(16), nullable=False),
    Column("hours", String(16), nullable=False),
    Column("words", String(64)),  # the neutral words that she chose; none: nothing is sent
    Column("reception_id", String(128), ForeignKey("receptions.id")),
    Column("told", String(32)),
    Column("told_start", UtcTime),
    Column("known_at", UtcTime),
    Column("here_at", UtcTime),  # the hour in which she was here last: then messages are free
    Column("done", String(64), nullable=False),  # parted by commas
    Column("renew", Boolean, nullable=False),
    Column("news", Boolean, nullable=False),  # something that she has not read yet
    Column("until", UtcTime, nullable=False),
    Column("next_at", UtcTime),  # when to look at it again
    Column("handle", LargeBinary),  # sealed: the last reminder in her chat
    UniqueConstraint("address_index", "municipality"),
)
Index(None, subscriptions.c.next_at)
Index(None, subscriptions.c.reception_id)
Index(None, subscriptions.c.municipality, subscriptions.c.reception_id)

# A message of ours that still stands in a chat and is to be removed from there.
leftovers = Table(
    "leftovers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sealed_for", String(32), nullable=False),  # the id of `subscriptions` in the seals
    Column("channel", String(16), nullable=False),
    Column("address_index", LargeBinary),  # none where she has deleted everything
    Column("address", LargeBinary, nullable=False),
    Column("handle", LargeBinary, nullable=False),
    Column("until", UtcTime, nullable=False),  # then it is given up
    sqlite_autoincrement=True,  # who ends a removal late forgets nobody else's message
)
Index(None, leftovers.c.address_index)

# The words are the centre's; of who received them only how many is kept.
broadcasts = Table(
    "broadcasts",
    metadata,
    _id(),
    Column("state", String(16), nullable=False),
    Column("municipalities", String(256), nullable=False),  # parted by commas; empty: all
    Column("languages", String(64), nullable=False),
    Column("channels", String(64), nullable=False),
    Column("texts", String(8000), nullable=False),  # by language, as JSON
    Column("created_by", String(32), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("proposed_at", UtcTime),
    Column("digest", String(64)),  # of what is to be approved
    Column("approved_by", String(32)),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("until", UtcTime),  # what has not gone out by then is held
    Column("enqueued", Integer, nullable=False, server_default="0"),  # parts of its audience
    Column("recipients", Integer, nullable=False, server_default="0"),
    Column("delivered", Integer, nullable=False, server_default="0"),
    Column("gone", Integer, nullable=False, server_default="0"),
    Column("held", Integer, nullable=False, server_default="0"),
    Column("unknown", Integer, nullable=False, server_default="0"),
    Column("failed", Integer, nullable=False, server_default="0"),
)
Index(None, broadcasts.c.state)

# One thing to bring to one woman's phone. A row here goes as soon as it is settled.
mailings = Table(
    "mailings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column(
        "subscription_id",
        String(32),
        ForeignKey("subscriptions.id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("cause", String(64), nullable=False),  # a broadcast, or a reminder of what she was told
    Column("broadcast_id", String(32), ForeignKey("broadcasts.id", ondelete="CASCADE")),
    Column("channel", String(16), nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("latest", UtcTime, nullable=False),  # the end of her safe hours, or of its use
    Column("sending", Boolean, nullable=False),
    Column("leased_by", String(32)),
    Column("leased_until", UtcTime),
    Column("attempts", Integer, nullable=False),
    Column("tried_at", UtcTime),
    UniqueConstraint("subscription_id", "cause"),
    sqlite_autoincrement=True,
)
Index(None, mailings.c.broadcast_id, mailings.c.channel, mailings.c.due_at)
_OUT = text("leased_by IS NOT NULL")
Index("ix_mailings_leased_by", mailings.c.leased_by, sqlite_where=_OUT, postgresql_where=_OUT)

# Of an address nothing but its keyed index; `case_id` None: until the time, whatever the case.
blocks = Table(
    "blocks",
    metadata,
    Column("address_index", LargeBinary, primary_key=True),
    Column("case_id", String(32), ForeignKey("cases.id", ondelete="CASCADE")),
    Column("until", UtcTime),
)

prepared = Table(
    "prepared",
    metadata,
    _id(),
    Column("language", String(16), nullable=False),
    Column("shortcut", String(32), nullable=False),
    Column("text", String(4000), nullable=False),
    UniqueConstraint("language", "shortcut"),
)

# Figures by month, never by woman. `bucket`: upper edge in seconds; 0 where there is none.
tallies = Table(
    "tallies",
    metadata,
    Column("month", String(7), primary_key=True),
    Column("name", String(32), primary_key=True),
    Column("bucket", Integer, primary_key=True, autoincrement=False),
    Column("total", Integer, nullable=False),
)

# A row here is on; without its row a switch is off.
switches = Table(
    "switches",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("at", UtcTime, nullable=False),
)

# The desk inside Telegram. No foreign key: a topic outlives its case until it is deleted there.
topics = Table(
    "topics",
    metadata,
    Column("case_id", String(32), primary_key=True),
    Column("chat", BigInteger, nullable=False),
    Column("thread", BigInteger, nullable=False),
    Column("told", Boolean, nullable=False),  # what she said stands there
    UniqueConstraint("chat", "thread"),
)

# Which message of ours in a topic shows what of its case; no words.
topic_lines = Table(
    "topic_lines",
    metadata,
    Column(
        "case_id", String(32), ForeignKey("topics.case_id", ondelete="CASCADE"), primary_key=True
    ),
    Column("entry", String(64), primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("line", BigInteger),  # our message; none yet where a consultant's is only known
    Column("answers", BigInteger),  # the consultant's own message there
    Column("shown", LargeBinary),  # keyed fingerprint of what it says
)

# A group that gets a newer id keeps its topics; the setting keeps the old one.
moved_groups = Table(
    "moved_groups",
    metadata,
    Column("old", BigInteger, primary_key=True, autoincrement=False),
    Column("new", BigInteger, nullable=False),
)

# What is to become of a consultant's phone in the group. No foreign key: her account may be gone.
group_notes = Table(
    "group_notes",
    metadata,
    _id(),
    Column("address_index", LargeBinary, nullable=False, unique=True),
    Column("address", LargeBinary, nullable=False),  # sealed, as it stood in her account
    Column("staff_id", String(32), nullable=False),
    Column("name", String(128), nullable=False),  # her login: who is removed has none any more
    Column("wish", String(16), nullable=False),
    Column("refused", Boolean, nullable=False),  # Telegram did not do it
    Column("at", UtcTime, nullable=False),
)

# The processes that share the database, as long as they say so.
workers = Table(
    "workers",
    metadata,
    _id(),
    Column("seen_at", UtcTime, nullable=False),
    Column("watched", Boolean, nullable=False),  # somebody sits before a desk of its
)

# A platform's call that reached another process than the one that holds its channel.
calls = Table(
    "calls",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("channel", String(16), nullable=False),
    Column("call_key", LargeBinary, nullable=False, unique=True),  # the same call is here once
    Column("body", LargeBinary, nullable=False),  # sealed
    Column("at", UtcTime, nullable=False),
    Column("status", Integer),  # of the answer; none yet while it waits
    Column("answer", LargeBinary),  # sealed
    sqlite_autoincrement=True,
)
Index(None, calls.c.channel)

# What could not be understood or done: a code and when, and nothing of its content.
set_aside = Table(
    "set_aside",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("channel", String(16), nullable=False),
    Column("code", String(32), nullable=False),
    Column("at", UtcTime, nullable=False),
    sqlite_autoincrement=True,
)
Index(None, set_aside.c.at)

# A voice that can be fetched for some minutes; it goes with its case.
lent = Table(
    "lent",
    metadata,
    Column("name", String(64), primary_key=True),  # keyed fingerprint, the last part of its address
    _case_id(),
    Column("data", LargeBinary, nullable=False),  # sealed
    Column("until", UtcTime, nullable=False),
)
Index(None, lent.c.case_id)


def _staff_id() -> Column[str]:
    target = ForeignKey("staff.id", ondelete="CASCADE")
    return Column("staff_id", String(32), target, nullable=False)


# Minutes of the local day; an end at or before the start is on the next day.
duty_weekly = Table(
    "duty_weekly",
    metadata,
    _id(),
    _staff_id(),
    Column("weekday", Integer, nullable=False),  # 0 is Monday
    Column("starts", Integer, nullable=False),
    Column("ends", Integer, nullable=False),
)
Index(None, duty_weekly.c.staff_id)

# What holds on one day instead of the week's pattern; no minutes: she is away.
duty_days = Table(
    "duty_days",
    metadata,
    _id(),
    _staff_id(),
    Column("day", String(10), nullable=False),  # 2026-11-22
    Column("starts", Integer),
    Column("ends", Integer),
)
Index(None, duty_days.c.staff_id, duty_days.c.day)

# Duties from a calendar file, beside the pattern.
duty_shifts = Table(
    "duty_shifts",
    metadata,
    _id(),
    _staff_id(),
    Column("starts_at", UtcTime, nullable=False),
    Column("ends_at", UtcTime, nullable=False),
)
Index(None, duty_shifts.c.staff_id)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("staff_id", String(32), ForeignKey("staff.id", ondelete="CASCADE"), nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime),  # none: it was ended for her, and who goes on with it is known
)
Index(None, sessions.c.staff_id)

# Logins that somebody who was removed had. No foreign key: her account may be gone.
former_logins = Table(
    "former_logins",
    metadata,
    Column("login_key", LargeBinary, primary_key=True),
    Column("staff_id", String(32), nullable=False),
    Column("until", UtcTime, nullable=False),
)

failed_logins = Table(
    "failed_logins",
    metadata,
    _id(),
    Column("login_key", LargeBinary, nullable=False),
    Column("at", UtcTime, nullable=False),
)
Index(None, failed_logins.c.login_key)

# No foreign keys: an entry outlives the case and the member of staff it speaks of.
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("staff_id", String(32)),
    Column("action", String(64), nullable=False),
    Column("case_id", String(32)),
    sqlite_autoincrement=True,
)
Index(None, audit.c.case_id)
