"""Candidates that were enqueued by hand, and which suggestions are of them."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("studies") as batch:
        batch.add_column(sa.Column("enqueued", sa.JSON(), nullable=True))
    with op.batch_alter_table("suggestions") as batch:
        batch.add_column(sa.Column("enqueued", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    with op.batch_alter_table("suggestions") as batch:
        batch.drop_column("enqueued")
    with op.batch_alter_table("studies") as batch:
        batch.drop_column("enqueued")
