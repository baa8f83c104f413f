"""Several processes on one database: leases, what one hands to another, and what was set aside."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("cases", sa.Column("present_in", sa.String(32)))
    op.add_column("cases", sa.Column("fence", sa.Integer, nullable=False, server_default="0"))
    op.add_column("cases", sa.Column("leased_by", sa.String(32)))
    op.add_column("cases", sa.Column("leased_until", MOMENT))
    op.add_column("outbox", sa.Column("tried_at", MOMENT))
    op.create_index("ix_cases_state_closed_at", "cases", ["state", "closed_at"])
    op.create_index("ix_cases_day_key", "cases", ["day_key"])
    leased = sa.text("leased_by IS NOT NULL")
    op.create_index(
        "ix_cases_leased_by", "cases", ["leased_by"], sqlite_where=leased, postgresql_where=leased
    )
    op.create_index("ix_handles_message_id", "handles", ["message_id"])
    op.create_index("ix_handles_at", "handles", ["at"])
    op.create_table(
        "workers",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("watched", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
    )
    op.create_table(
        "calls",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("call_key", sa.LargeBinary, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("answer", sa.LargeBinary),
        sa.PrimaryKeyConstraint("id", name="pk_calls"),
        sa.UniqueConstraint("call_key", name="uq_calls_call_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_calls_channel", "calls", ["channel"])
    op.create_table(
        "set_aside",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("code", sa.String(32), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_set_aside"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_set_aside_at", "set_aside", ["at"])
    op.create_table(
        "lent",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("case_id", sa.String(32), nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_lent"),
        sa.ForeignKeyConstraint(
            ["case_id"], ["cases.id"], name="fk_lent_case_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_lent_case_id", "lent", ["case_id"])
