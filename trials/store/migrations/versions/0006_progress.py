"""Add what a study is doing now, whether it was prepared, and its plans before extensions."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("studies") as batch:
        batch.add_column(sa.Column("phase", sa.Text(), nullable=True))
        batch.add_column(sa.Column("is_prepared", sa.Boolean(), nullable=False, server_default=sa.true()))
        batch.add_column(sa.Column("history", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("studies") as batch:
        batch.drop_column("history")
        batch.drop_column("is_prepared")
        batch.drop_column("phase")
