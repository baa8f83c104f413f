"""The desk inside Telegram: a topic per case, what stands in it, and a group's newer id."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "topics",
        sa.Column("case_id", sa.String(32), nullable=False),
        sa.Column("chat", sa.BigInteger, nullable=False),
        sa.Column("thread", sa.BigInteger, nullable=False),
        sa.Column("told", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("case_id", name="pk_topics"),
        sa.UniqueConstraint("chat", "thread", name="uq_topics_chat_thread"),
    )
    op.create_table(
        "topic_lines",
        sa.Column("case_id", sa.String(32), nullable=False),
        sa.Column("entry", sa.String(64), nullable=False),
        sa.Column("part", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("line", sa.BigInteger),
        sa.Column("answers", sa.BigInteger),
        sa.Column("shown", sa.LargeBinary),
        sa.PrimaryKeyConstraint("case_id", "entry", "part", name="pk_topic_lines"),
        sa.ForeignKeyConstraint(
            ["case_id"], ["topics.case_id"], name="fk_topic_lines_case_id", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "moved_groups",
        sa.Column("old", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("new", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("old", name="pk_moved_groups"),
    )
