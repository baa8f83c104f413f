"""The handover: bell and duty, prepared answers, blocks, media, figures, the stop switch."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _columns()
    _media()
    _desk()
    _duty()


def _columns() -> None:
    added = {
        "staff": (
            sa.Column("languages", sa.String(64), nullable=False, server_default="bg"),
            sa.Column("bell_address", sa.LargeBinary),
            sa.Column("bell_index", sa.LargeBinary),
            sa.Column("bell_code_hash", sa.LargeBinary),
            sa.Column("bell_code_expires_at", MOMENT),
        ),
        "cases": (
            sa.Column("bell_round", sa.Integer, nullable=False, server_default="0"),
            sa.Column("bell_at", MOMENT),
            sa.Column("passed_at", MOMENT),
            sa.Column("answered", sa.Boolean, nullable=False, server_default=sa.false()),
            sa.Column("media_allowed", sa.Boolean, nullable=False, server_default=sa.false()),
            sa.Column("nudge_hours", sa.String(16)),
            sa.Column("nudge_words", sa.String(32)),
            sa.Column("nudged_at", MOMENT),
            sa.Column("absent_since", MOMENT),
        ),
        "messages": (
            sa.Column("covered", sa.Boolean, nullable=False, server_default=sa.false()),
            sa.Column("edited", sa.Boolean, nullable=False, server_default=sa.false()),
            sa.Column("medium", sa.String(16)),
        ),
        "outbox": (sa.Column("what", sa.String(16), nullable=False, server_default="say"),),
        "handles": (sa.Column("message_id", sa.String(32)),),
    }
    for table, columns in added.items():
        for column in columns:
            op.add_column(table, column)
    op.create_index("ix_staff_bell_index", "staff", ["bell_index"], unique=True)
    # Who waits while this runs is rung for at the next tick.
    op.execute("UPDATE cases SET bell_at = opened_at WHERE state = 'waiting'")


def _media() -> None:
    op.create_table(
        "media",
        sa.Column("message_id", sa.String(32), nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("message_id", name="pk_media"),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name="fk_media_message_id", ondelete="CASCADE"
        ),
    )


def _desk() -> None:
    op.create_table(
        "blocks",
        sa.Column("address_index", sa.LargeBinary, nullable=False),
        sa.Column("case_id", sa.String(32)),
        sa.Column("until", MOMENT),
        sa.PrimaryKeyConstraint("address_index", name="pk_blocks"),
        sa.ForeignKeyConstraint(
            ["case_id"], ["cases.id"], name="fk_blocks_case_id", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "prepared",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("language", sa.String(16), nullable=False),
        sa.Column("shortcut", sa.String(32), nullable=False),
        sa.Column("text", sa.String(4000), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_prepared"),
        sa.UniqueConstraint("language", "shortcut", name="uq_prepared_language_shortcut"),
    )
    op.create_table(
        "tallies",
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("bucket", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("month", "name", "bucket", name="pk_tallies"),
    )
    op.create_table(
        "switches",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_switches"),
    )


def _duty() -> None:
    _of_staff(
        "duty_weekly",
        ["staff_id"],
        sa.Column("weekday", sa.Integer, nullable=False),
        sa.Column("starts", sa.Integer, nullable=False),
        sa.Column("ends", sa.Integer, nullable=False),
    )
    _of_staff(
        "duty_days",
        ["staff_id", "day"],
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("starts", sa.Integer),
        sa.Column("ends", sa.Integer),
    )
    _of_staff(
        "duty_shifts",
        ["staff_id"],
        sa.Column("starts_at", MOMENT, nullable=False),
        sa.Column("ends_at", MOMENT, nullable=False),
    )


def _of_staff(name: str, index: list[str], *columns: sa.Column[object]) -> None:
    op.create_table(
        name,
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("staff_id", sa.String(32), nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("id", name=f"pk_{name}"),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["staff.id"], name=f"fk_{name}_staff_id", ondelete="CASCADE"
        ),
    )
    op.create_index(f"ix_{name}_{'_'.join(index)}", name, index)
