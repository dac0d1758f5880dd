"""Write an index of several exported networks: a page, and the same table for programs."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.errors import PlanError
from trials.plans.values import short
from trials.reporting.pages import render_page

#: Files of the index.
PAGE, TABLE = "index.html", "index.csv"
#: How a table begins that an export wrote.
_BEGIN = "trial,folder,"


def check_index(folder: Path) -> None:
    """Check that an index in ``folder`` replaces no file but those of an earlier index.

    Raises:
        PlanError: a file with the name of the page or of the table is not one of an index.
    """
    table = folder / TABLE
    is_own = table.is_file() and table.read_text(encoding="utf-8", errors="replace").startswith(_BEGIN)
    for file in (folder / PAGE, table):
        if file.exists() and not is_own:
            raise PlanError(
                f"{short(str(file))} was not written by an export, and the index would replace it; give another folder"
            )


def write_index(
    name: str, rows: Sequence[Mapping[str, Any]], folder: Path, refused: Mapping[int, str] | None = None
) -> None:
    """Write ``index.html`` and ``index.csv`` into ``folder``, replacing those of an earlier export.

    Args:
        name: name of the study.
        rows: what ``export_candidate`` returned for each network, at least one; their folders are in ``folder``.
        folder: an existing folder.
        refused: number of each trial that could not be exported → the reason.
    """
    relative: list[dict[str, Any]] = [{**row, "folder": Path(row["folder"]).name} for row in rows]
    for number, reason in (refused or {}).items():
        relative.append({"trial": number, "folder": "", "verification": "not exported", "reason": reason})
    columns = list(dict.fromkeys(key for row in relative for key in row))
    with (folder / TABLE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(relative)
    title = f"Networks of study {name}"
    complete = [{column: row.get(column, "") for column in columns} for row in relative]
    page = render_page("trials.export/index.html", title=title, columns=columns, rows=complete)
    (folder / PAGE).write_text(page, encoding="utf-8")
