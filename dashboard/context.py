"""The context that every page and some sections receive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashboard.actions import Actions
from dashboard.views import Views
from trials.reporting.study import StudyView
from trials.store.read.session import Source

#: Key of the format in which charts are saved; it is kept when another study is shown.
IMAGES = "images"


@dataclass(frozen=True)
class Context:
    """The studies to show, and the pages that can be linked to."""

    views: Views
    #: Module name → streamlit's page.
    pages: Mapping[str, Any]
    #: Name of the module whose page is shown.
    page: str
    #: What visitors may do besides looking.
    actions: Actions

    @property
    def source(self) -> Source:
        """The database to read."""
        return self.views.source

    def study(self, name: str) -> StudyView:
        """The view of the present state of a study.

        Raises:
            UnknownNameError: the study does not exist.
        """
        return self.views.view(name)
