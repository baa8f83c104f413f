"""The first schema: cases, their outbox, receptions, staff."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _staff()
    _cases()
    _messages()
    _content()
    _logins()
    _audit()


def _staff() -> None:
    op.create_table(
        "staff",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("login", sa.String(128), nullable=False),
        sa.Column("alias", sa.String(128), nullable=False),
        sa.Column("roles", sa.String(128), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("password_hash", sa.String(512)),
        sa.Column("totp_secret", sa.LargeBinary),
        sa.Column("last_totp_step", sa.Integer),
        sa.Column("invite_hash", sa.LargeBinary),
        sa.Column("invite_expires_at", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_staff"),
        sa.UniqueConstraint("login", name="uq_staff_login"),
        sa.UniqueConstraint("invite_hash", name="uq_staff_invite_hash"),
    )


def _cases() -> None:
    op.create_table(
        "cases",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("alias", sa.String(128), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("language", sa.String(16), nullable=False),
        sa.Column("address_index", sa.LargeBinary, nullable=False),
        sa.Column("address", sa.LargeBinary, nullable=False),
        sa.Column("topic", sa.LargeBinary),
        sa.Column("place", sa.LargeBinary),
        sa.Column("wrapped_key", sa.LargeBinary),
        sa.Column("day_key", sa.String(24)),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("last_woman_at", MOMENT, nullable=False),
        sa.Column("last_at", MOMENT, nullable=False),
        sa.Column("claimed_by", sa.String(32)),
        sa.Column("claimed_at", MOMENT),
        sa.Column("closed_at", MOMENT),
        sa.Column("present", sa.Boolean, nullable=False),
        sa.Column("told", sa.Integer, nullable=False),
        sa.Column("looked", sa.Integer, nullable=False),
        sa.Column("last_number", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cases"),
        sa.ForeignKeyConstraint(["claimed_by"], ["staff.id"], name="fk_cases_claimed_by"),
        sa.UniqueConstraint("alias", name="uq_cases_alias"),
    )
    op.create_index("ix_cases_address_index", "cases", ["address_index"])
    op.create_index("ix_cases_claimed_by", "cases", ["claimed_by"])
    still_open = sa.text("state <> 'closed'")
    op.create_index(
        "uq_cases_one_open",
        "cases",
        ["address_index"],
        unique=True,
        sqlite_where=still_open,
        postgresql_where=still_open,
    )


def _messages() -> None:
    op.create_table(
        "messages",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("case_id", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("author", sa.String(16), nullable=False),
        sa.Column("staff_id", sa.String(32)),
        sa.Column("text", sa.LargeBinary, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("delivery_key", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
        _of_case("messages"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_messages_staff_id"),
        sa.UniqueConstraint("delivery_key", name="uq_messages_delivery_key"),
        sa.UniqueConstraint("case_id", "number", name="uq_messages_case_id_number"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("cause", sa.String(64), nullable=False),
        sa.Column("n", sa.Integer, nullable=False),
        sa.Column("case_id", sa.String(32), nullable=False),
        sa.Column("message_id", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("sending", sa.Boolean, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        _of_case("outbox"),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name="fk_outbox_message_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("message_id", name="uq_outbox_message_id"),
        sa.UniqueConstraint("cause", "n", name="uq_outbox_cause_n"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outbox_case_id_number", "outbox", ["case_id", "number"])
    op.create_table(
        "handles",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("case_id", sa.String(32), nullable=False),
        sa.Column("handle", sa.LargeBinary, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_handles"),
        _of_case("handles"),
    )
    op.create_index("ix_handles_case_id", "handles", ["case_id"])


def _of_case(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["case_id"], ["cases.id"], name=f"fk_{table}_case_id", ondelete="CASCADE"
    )


def _content() -> None:
    op.create_table(
        "media_ids",
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(128), nullable=False),
        sa.Column("file_id", sa.String(512), nullable=False),
        sa.PrimaryKeyConstraint("channel", "digest", name="pk_media_ids"),
    )
    op.create_table(
        "receptions",
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("municipality", sa.String(16), nullable=False),
        sa.Column("place", sa.String(256), nullable=False),
        sa.Column("starts_at", MOMENT, nullable=False),
        sa.Column("ends_at", MOMENT, nullable=False),
        sa.Column("landmark", sa.String(512), nullable=False),
        sa.Column("attends", sa.String(512), nullable=False),
        sa.Column("public_name", sa.String(256), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_receptions"),
    )
    op.create_index(
        "ix_receptions_municipality_starts_at", "receptions", ["municipality", "starts_at"]
    )


def _logins() -> None:
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.LargeBinary, nullable=False),
        sa.Column("staff_id", sa.String(32), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name="pk_sessions"),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["staff.id"], name="fk_sessions_staff_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_sessions_staff_id", "sessions", ["staff_id"])
    op.create_table(
        "failed_logins",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("login_key", sa.LargeBinary, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_failed_logins"),
    )
    op.create_index("ix_failed_logins_login_key", "failed_logins", ["login_key"])


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("staff_id", sa.String(32)),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("case_id", sa.String(32)),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_case_id", "audit", ["case_id"])


def downgrade() -> None:
    for table in (
        "audit",
        "failed_logins",
        "sessions",
        "receptions",
        "media_ids",
        "handles",
        "outbox",
        "messages",
        "cases",
        "staff",
    ):
        op.drop_table(table)
