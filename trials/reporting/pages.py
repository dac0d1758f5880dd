"""Pages that open from a file, without a server or network: templates in a common frame."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from nas.foreign import lines


def render_page(template: str, **values: Any) -> str:
    """Return a page as HTML text; text from a database is shown as text.

    Args:
        template: package and file of the template, such as ``trials.export/page.html``.
        values: what the template shows.
    """
    environment = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
    )
    return environment.get_template(template).render(**values)


def _source(template: str) -> str:
    package, _, name = template.partition("/")
    return files(package).joinpath(name).read_text(encoding="utf-8")


def _shown(value: Any) -> Any:
    """Remove control characters and passwords from text; figures and scripts are returned unchanged."""
    return lines(value) if type(value) is str else value
