"""Studies that began before candidates could be measured without being trained keep their rule."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

STUDIES = sa.table("studies", sa.column("id", sa.Integer), sa.column("plan", sa.JSON))


def upgrade() -> None:
    _change(lambda budget: {**budget, "measurements": 0})


def downgrade() -> None:
    _change(lambda budget: {key: value for key, value in budget.items() if key != "measurements"})


def _change(change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    connection = op.get_bind()
    for row in connection.execute(sa.select(STUDIES)).all():
        plan = {**row.plan, "budget": change(row.plan.get("budget", {}))}
        connection.execute(sa.update(STUDIES).where(STUDIES.c.id == row.id).values(plan=plan))
