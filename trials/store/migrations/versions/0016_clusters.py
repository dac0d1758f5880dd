"""Studies keep their code for clusters and a log; they are paused and stopped by requests to their coordinators."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("studies", sa.Column("code", sa.LargeBinary(), nullable=True))
    op.add_column("studies", sa.Column("request", sa.String(20), nullable=True))
    op.create_table(
        "log",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("candidate_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("level", sa.String(10), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name="fk_log_study_id_studies", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["candidate_id"], ["candidates.id"], name="fk_log_candidate_id_candidates", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_log"),
    )
    op.create_index("ix_log_study", "log", ["study_id", "id"])
    op.create_index("ix_log_candidate_id", "log", ["candidate_id"])


def downgrade() -> None:
    op.drop_table("log")
    op.drop_column("studies", "request")
    op.drop_column("studies", "code")
