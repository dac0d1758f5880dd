"""Add the trust of a measurement, and which stored measurement it reuses."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("measurements") as batch:
        batch.add_column(sa.Column("trust", sa.String(length=20), nullable=False, server_default="unverified"))
        batch.add_column(sa.Column("source_id", sa.Integer(), nullable=True))
        batch.create_foreign_key(
            op.f("fk_measurements_source_id_measurements"),
            "measurements",
            ["source_id"],
            ["id"],
            ondelete="SET NULL",
        )
        batch.create_index(op.f("ix_measurements_source_id"), ["source_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("measurements") as batch:
        batch.drop_index(op.f("ix_measurements_source_id"))
        batch.drop_constraint(op.f("fk_measurements_source_id_measurements"), type_="foreignkey")
        batch.drop_column("source_id")
        batch.drop_column("trust")
