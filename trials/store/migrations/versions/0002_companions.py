"""Add how a study makes weights sparse, and which study a companion belongs to."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("studies") as batch:
        batch.add_column(sa.Column("regime", sa.JSON(), nullable=True))
        batch.add_column(sa.Column("beside", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("studies") as batch:
        batch.drop_column("beside")
        batch.drop_column("regime")
