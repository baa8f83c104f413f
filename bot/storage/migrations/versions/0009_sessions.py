"""Sessions end everywhere, known browsers, and whose attempts are written down after she left."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    seen_at = sa.Column("seen_at", sa.DateTime(timezone=True))
    op.add_column("sessions", seen_at)
    sessions = sa.table("sessions", sa.column("seen_at", sa.DateTime(timezone=True)))
    op.execute(sessions.update().values(seen_at=datetime.now(UTC)))
    op.add_column("staff", sa.Column("known_since", sa.DateTime(timezone=True)))
    op.create_table(
        "former_logins",
        sa.Column("login_key", sa.LargeBinary, nullable=False),
        sa.Column("staff_id", sa.String(32), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("login_key", name="pk_former_logins"),
    )
