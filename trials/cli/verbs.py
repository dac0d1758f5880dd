"""The help of ``nas``: its verbs in groups, in the order in which a study needs them."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

#: Job → its verbs.
GROUPS = {
    "Plan a study": ("init", "validate", "spaces", "papers"),
    "Run a study": ("search", "submit", "pause", "resume", "stop", "extend", "enqueue", "twins"),
    "Look at a study": (
        "status",
        "list",
        "show",
        "logs",
        "report",
        "dashboard",
        "metrics",
        "traces",
        "profile",
        "recheck",
        "optuna-export",
    ),
    "Take a network away": ("train", "export", "verify", "push", "reproduce"),
    "Compare with a network of your own": ("import", "measure"),
    "Measure on other machines": ("targets", "agent"),
    "Tidy up": ("note", "gc", "delete"),
}


class Verbs(TyperGroup):
    """The verbs of ``nas``; verbs without a group come last."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of all verbs, in the order of the groups."""
        grouped = [name for names in GROUPS.values() for name in names if name in self.commands]
        return [*grouped, *sorted(self.commands.keys() - set(grouped))]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a list for each group, with the whole first sentence of each verb."""
        left = self.list_commands(ctx)
        for title, names in [*GROUPS.items(), ("Other", tuple(left))]:
            shown = [name for name in names if name in left]
            left = [name for name in left if name not in shown]
            if shown:
                with formatter.section(title):
                    formatter.write_dl([(name, self.commands[name].get_short_help_str(limit=500)) for name in shown])
