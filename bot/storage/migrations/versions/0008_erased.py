"""What is to be removed from a chat is known through a kill, also of who deleted everything."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    never_again = {"sqlite_autoincrement": True}
    with op.batch_alter_table("leftovers", table_kwargs=never_again) as leftovers:
        leftovers.alter_column(
            "subscription_id", new_column_name="sealed_for", existing_type=sa.String(32)
        )
        leftovers.alter_column("address_index", existing_type=sa.LargeBinary, nullable=True)
