"""Who is to be put out of the desk's Telegram group: those who are frozen already, too."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    notes = op.create_table(
        "group_notes",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("address_index", sa.LargeBinary, nullable=False),
        sa.Column("address", sa.LargeBinary, nullable=False),
        sa.Column("staff_id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("wish", sa.String(16), nullable=False),
        sa.Column("refused", sa.Boolean, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_group_notes"),
        sa.UniqueConstraint("address_index", name="uq_group_notes_address_index"),
    )
    names = "id", "login", "state", "bell_address", "bell_index"
    staff = sa.table("staff", *map(sa.column, names))
    now = sa.literal(datetime.now(UTC), MOMENT)
    frozen = sa.select(
        staff.c.id, staff.c.bell_index, staff.c.bell_address, staff.c.id, staff.c.login,
        sa.literal("out"), sa.false(), now,
    ).where(staff.c.state == "frozen", staff.c.bell_index.is_not(None))  # fmt: skip
    into = ["id", "address_index", "address", "staff_id", "name", "wish", "refused", "at"]
    op.execute(notes.insert().from_select(into, frozen))
