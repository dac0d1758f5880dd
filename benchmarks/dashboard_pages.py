"""How fast the dashboard's pages are, and what they cost, on generated studies of several sizes.

Each page is opened in Chromium twice: by the first visitor after the server started, and again (warm). A page with a
chart is useful once the chart has points, a page with a table once the table has cells. Then a condition is typed on
the page Trials, and another axis is chosen on the page Study; each is useful once its answer is drawn. The first lines
are Streamlit alone: a page with one table or one chart of three points, which no page can be faster than. With
``--optuna-dashboard``, its page of the same trials is opened in the same run. Its program is given by path, because it
lives in an environment of its own (``pip install optuna-dashboard optuna``).

    python benchmarks/dashboard_pages.py --sizes 1000 10000 --optuna-dashboard /tmp/other/bin/optuna-dashboard
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dashboard_parts.studies import write_study
from dashboard_parts.visit import ARGUMENTS, Visit, free_port, served, visit
from playwright.sync_api import sync_playwright

from dashboard.launch import SETTINGS, command
from trials.store.database.engine import open_engine

#: Plotly draws the frame of a chart before its points, and points as WebGL before those as SVG.
POINTS = ".js-plotly-plot .scatterlayer .points path"
TABLE = "[data-testid=stDataFrame] [role=gridcell]"
#: Page → address, and the element that makes it useful.
PAGES = {
    "studies": ("", TABLE),
    "study": ("study?study={name}", POINTS),
    "trials": ("trials?study={name}", TABLE),
    "trial": ("trial?study={name}&trial=0", TABLE),
    "compare": ("compare?study={name}", POINTS),
}
FORMAT = "{:<30} {:>8} {:>9} {:>9} {:>9} {:>8} {:>9} {:>9}"


def main() -> None:
    """Print one line per page and size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--pages", nargs="+", choices=PAGES, default=list(PAGES))
    parser.add_argument("--storage", help="URL of an empty database; by default a temporary SQLite file")
    parser.add_argument("--optuna-dashboard", type=Path, help="its program in an environment of its own")
    arguments = parser.parse_args()
    print(FORMAT.format("page", "trials", "useful s", "whole s", "kB", "nodes", "server s", "MB"))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        context = browser.new_context(viewport={"width": 1400, "height": 1000})
        for what, found in _alone(context, Path(folder)):
            _print(what, 3, found)
        for size in arguments.sizes:
            for what, found in _measured(arguments, context, Path(folder), size):
                _print(what, size, found)
        browser.close()


def _print(what: str, size: int, found: Visit) -> None:
    kilobytes, megabytes = found.received / 1e3, found.server_bytes / 1e6
    cells = (f"{found.useful_s:.2f}", f"{found.whole_s:.2f}", f"{kilobytes:.0f}", found.dom_nodes)
    print(FORMAT.format(what, size, *cells, f"{found.server_s:.2f}", f"{megabytes:.0f}"), flush=True)


def _alone(context: Any, folder: Path) -> Iterator[tuple[str, Visit]]:
    port = free_port()
    script = str(Path(__file__).parent / "dashboard_parts" / "streamlit_alone.py")
    server_command = [sys.executable, "-m", "streamlit", "run", script, f"--server.port={port}", *SETTINGS]
    with served(server_command, port, "/_stcore/health", folder) as server:
        for what, awaited in (("table", TABLE), ("chart", POINTS)):
            for turn in ("first", "again"):
                yield (
                    f"Streamlit alone, {what}, {turn}",
                    visit(context, server, f"http://127.0.0.1:{port}/?{what}", awaited),
                )


def _measured(arguments: Any, context: Any, folder: Path, size: int) -> Iterator[tuple[str, Visit]]:
    storage, name = arguments.storage or f"sqlite:///{folder / f'{size}.db'}", f"study{size}"
    engine = open_engine(storage)
    write_study(engine, name, size)
    engine.dispose()
    port = free_port()
    with served(command(storage, port), port, "/_stcore/health", folder) as server:
        for page in arguments.pages:
            path, awaited = PAGES[page]
            url = f"http://127.0.0.1:{port}/{path.format(name=name)}"
            yield f"{page}, first", visit(context, server, url, awaited)
            yield f"{page}, again", visit(context, server, url, awaited)
        for page, act in (("trials, limit changed", _limit), ("study, axis changed", _axis)):
            path, awaited = PAGES[page.partition(",")[0]]
            yield page, visit(context, server, f"http://127.0.0.1:{port}/{path.format(name=name)}", awaited, act)
    if arguments.optuna_dashboard:
        yield "optuna-dashboard", _other(arguments, context, folder, size)


def _limit(page: Any) -> None:
    """Type a condition that about half of the trials keep; the answer is a whole page with their number."""
    count = page.get_by_text("listed trials").first.inner_text()
    page.get_by_role("textbox", name="Conditions").fill("latency_ms<1.9")
    page.keyboard.press("Enter")
    page.wait_for_function(
        """before => document.querySelector('[data-test-script-state=notRunning]')
            && [...document.querySelectorAll('[data-testid=stCaptionContainer]')]
                .some(caption => /listed trials/.test(caption.innerText) && caption.innerText != before)""",
        arg=count,
    )


def _axis(page: Any) -> None:
    """Choose another horizontal axis; the answer is the chart with its title and with points."""
    page.get_by_role("combobox", name="Horizontal axis").click()
    page.get_by_role("option", name="Parameters", exact=True).click()
    chart = page.locator(".js-plotly-plot", has=page.locator(".xtitle, .x2title", has_text="Parameters")).first
    chart.locator(".scatterlayer .points path").first.wait_for(state="attached")


def _other(arguments: Any, context: Any, folder: Path, size: int) -> Visit:
    """The page of Optuna's dashboard that shows the same trials."""
    storage, port = f"sqlite:///{folder / f'optuna-{size}.db'}", free_port()
    python = arguments.optuna_dashboard.with_name("python")
    maker = Path(__file__).parent / "dashboard_parts" / "optuna_study.py"
    subprocess.run([str(python), str(maker), storage, str(size)], check=True, stderr=sys.stderr)
    program = [str(arguments.optuna_dashboard), storage, "--port", str(port)]
    with served(program, port, "/", folder) as server:
        return visit(context, server, f"http://127.0.0.1:{port}/dashboard/studies/1", POINTS)


if __name__ == "__main__":
    main()
