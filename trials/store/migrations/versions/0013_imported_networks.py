"""Networks of the user that stand beside a study, and their measurements."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "imported_networks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("source", sa.JSON(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("test_scores", sa.JSON(), nullable=False),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.Column("environment", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_imported_networks_study_id_studies"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imported_networks")),
        sa.UniqueConstraint("study_id", "name", name=op.f("uq_imported_networks_study_id_name")),
    )
    op.create_table(
        "imported_measurements",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("imported_id", sa.Integer(), nullable=False),
        sa.Column("target_id", sa.Integer(), nullable=False),
        sa.Column("latency_ms", sa.Double(), nullable=False),
        sa.Column("low_ms", sa.Double(), nullable=False),
        sa.Column("high_ms", sa.Double(), nullable=False),
        sa.Column("conditions", sa.JSON(), nullable=False),
        sa.Column("samples", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["imported_id"],
            ["imported_networks.id"],
            name=op.f("fk_imported_measurements_imported_id_imported_networks"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["target_id"], ["targets.id"], name=op.f("fk_imported_measurements_target_id_targets")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imported_measurements")),
        sa.UniqueConstraint(
            "imported_id", "target_id", name=op.f("uq_imported_measurements_imported_id_target_id")
        ),
    )
    op.create_index(
        op.f("ix_imported_measurements_target_id"), "imported_measurements", ["target_id"], unique=False
    )


def downgrade() -> None:
    op.drop_table("imported_measurements")
    op.drop_table("imported_networks")
