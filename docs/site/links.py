"""Puts files outside ``docs/`` that pages link to into the site, under ``repository/``.

A page links to a file by its place in the repository, so that the link also works where the repository is browsed.
Linked pages such as ``CONTRIBUTING.md`` become pages of the site; other files are copied as they are.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)#\s]+)")
_OUTSIDE = "repository/"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what pages link to, and what the added pages link to."""
    waiting = list(files.documentation_pages())
    while waiting:
        page = waiting.pop()
        for target in _targets(page, config):
            uri = _site_uri(target, config)
            if uri.startswith(_OUTSIDE) and uri not in files.src_uris:
                added = File.generated(config, uri, abs_src_path=str(_root(config) / target))
                files.append(added)
                waiting += [added] if added.is_documentation_page() else []
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links point to where their targets are in the site."""
    folder = posixpath.dirname(page.file.src_uri)

    def moved(link: re.Match[str]) -> str:
        target = _target(link[1], page.file, config)
        return posixpath.relpath(_site_uri(target, config), folder) if target else link[1]

    return _LINK.sub(moved, markdown)


def _targets(page: File, config: MkDocsConfig) -> Iterator[str]:
    for link in _LINK.findall(page.content_string):
        if target := _target(link, page, config):
            yield target


def _target(link: str, page: File, config: MkDocsConfig) -> str | None:
    """The file that a link of a page names, relative to the repository; None if there is no such file."""
    root = _root(config)
    path = (Path(str(page.abs_src_path)).parent / link).resolve()
    path = path / "README.md" if path.is_dir() else path
    return path.relative_to(root).as_posix() if path.is_file() and path.is_relative_to(root) else None


def _site_uri(target: str, config: MkDocsConfig) -> str:
    docs = Path(config.docs_dir).relative_to(_root(config)).as_posix()
    return target.removeprefix(f"{docs}/") if target.startswith(f"{docs}/") else _OUTSIDE + target


def _root(config: MkDocsConfig) -> Path:
    return Path(config.config_file_path).parent.resolve()
