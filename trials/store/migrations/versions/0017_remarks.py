"""Notes and tags of studies and candidates."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("studies", "candidates"):
        op.add_column(table, sa.Column("note", sa.Text(), nullable=True))
        op.add_column(table, sa.Column("tags", sa.JSON(), nullable=True))


def downgrade() -> None:
    for table in ("candidates", "studies"):
        op.drop_column(table, "tags")
        op.drop_column(table, "note")
