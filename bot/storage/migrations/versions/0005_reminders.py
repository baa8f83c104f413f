"""Who wants to be reminded of receptions, what is on its way to their phones, and broadcasts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    nothing = sa.text("''")
    op.add_column(
        "receptions", sa.Column("uid", sa.String(512), nullable=False, server_default=nothing)
    )
    op.add_column(
        "receptions", sa.Column("sequence", sa.Integer, nullable=False, server_default="0")
    )
    named = sa.text("uid <> ''")
    op.create_index(
        "ix_receptions_uid",
        "receptions",
        ["uid"],
        unique=True,
        sqlite_where=named,
        postgresql_where=named,
    )
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("address_index", sa.LargeBinary, nullable=False),
        sa.Column("address", sa.LargeBinary),
        sa.Column("language", sa.String(16), nullable=False),
        sa.Column("municipality", sa.String(16), nullable=False),
        sa.Column("hours", sa.String(16), nullable=False),
        sa.Column("words", sa.String(64)),
        sa.Column("reception_id", sa.String(128)),
        sa.Column("told", sa.String(32)),
        sa.Column("told_start", MOMENT),
        sa.Column("known_at", MOMENT),
        sa.Column("here_at", MOMENT),
        sa.Column("done", sa.String(64), nullable=False),
        sa.Column("renew", sa.Boolean, nullable=False),
        sa.Column("news", sa.Boolean, nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.Column("next_at", MOMENT),
        sa.Column("handle", sa.LargeBinary),
        sa.PrimaryKeyConstraint("id", name="pk_subscriptions"),
        sa.ForeignKeyConstraint(
            ["reception_id"], ["receptions.id"], name="fk_subscriptions_reception_id"
        ),
        sa.UniqueConstraint(
            "address_index", "municipality", name="uq_subscriptions_address_index_municipality"
        ),
    )
    op.create_index("ix_subscriptions_next_at", "subscriptions", ["next_at"])
    op.create_index("ix_subscriptions_reception_id", "subscriptions", ["reception_id"])
    op.create_index(
        "ix_subscriptions_municipality_reception_id",
        "subscriptions",
        ["municipality", "reception_id"],
    )
    op.create_table(
        "broadcasts",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("municipalities", sa.String(256), nullable=False),
        sa.Column("languages", sa.String(64), nullable=False),
        sa.Column("channels", sa.String(64), nullable=False),
        sa.Column("texts", sa.String(8000), nullable=False),
        sa.Column("created_by", sa.String(32), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("proposed_at", MOMENT),
        sa.Column("digest", sa.String(64)),
        sa.Column("approved_by", sa.String(32)),
        sa.Column("started_at", MOMENT),
        sa.Column("ended_at", MOMENT),
        sa.Column("until", MOMENT),
        *(
            sa.Column(name, sa.Integer, nullable=False, server_default="0")
            for name in ("enqueued", "recipients", "delivered", "gone", "held", "unknown", "failed")
        ),
        sa.PrimaryKeyConstraint("id", name="pk_broadcasts"),
    )
    op.create_index("ix_broadcasts_state", "broadcasts", ["state"])
    op.create_table(
        "mailings",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("subscription_id", sa.String(32), nullable=False),
        sa.Column("cause", sa.String(64), nullable=False),
        sa.Column("broadcast_id", sa.String(32)),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("latest", MOMENT, nullable=False),
        sa.Column("sending", sa.Boolean, nullable=False),
        sa.Column("leased_by", sa.String(32)),
        sa.Column("leased_until", MOMENT),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("tried_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_mailings"),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscriptions.id"],
            name="fk_mailings_subscription_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["broadcast_id"], ["broadcasts.id"], name="fk_mailings_broadcast_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("subscription_id", "cause", name="uq_mailings_subscription_id_cause"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_mailings_broadcast_id_channel_due_at",
        "mailings",
        ["broadcast_id", "channel", "due_at"],
    )
    out = sa.text("leased_by IS NOT NULL")
    op.create_index(
        "ix_mailings_leased_by", "mailings", ["leased_by"], sqlite_where=out, postgresql_where=out
    )
