"""Takes the pictures of ``docs/how-to/dashboard-tour.md`` from a study in a database.

    make demo
    python docs/site/pictures.py --storage sqlite:///demo/nas.db --study digits

With ``--all FOLDER``, every page is taken in full height, light and dark, in three widths, as PNG into this folder.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image
from playwright.sync_api import sync_playwright

from dashboard.launch import command

OUT = Path(__file__).parents[1] / "how-to" / "pictures"
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
#: Page → its address, and what has to be drawn before the picture is taken.
CHART, TABLE = ".js-plotly-plot .points path, .js-plotly-plot .bars path", "[data-testid=stDataFrame] [role=gridcell]"
PAGES = {
    "studies": ("", TABLE),
    "study": ("study?study={study}", CHART),
    "trials": ("trials?study={study}&sort=Accuracy&descending=true", TABLE),
    "compare": ("compare?study={study}", TABLE),
    "trial": ("trial?study={study}&trial={trial}", TABLE),
    "choices": ("choices?study={study}", CHART),
    "measurements": ("measurements?study={study}", TABLE),
    "activity": ("activity?study={study}", CHART),
    "export": ("export?study={study}&rule=front", TABLE),
    "help": ("help", "h3"),
}
THEMES, WIDTHS = ("light", "dark"), (1400, 800, 390)
HEIGHT, SETTLED_MS, PATIENCE_S = 1000, 2500, 90


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", required=True, help="URL of the database")
    parser.add_argument("--study", required=True)
    parser.add_argument("--trial", type=int, default=0, help="trial of the page Trial")
    parser.add_argument("--pages", nargs="+", choices=PAGES, default=list(PAGES))
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="take every page in every theme and width")
    arguments = parser.parse_args()
    with _served(arguments.storage) as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        for page in arguments.pages:
            path, awaited = PAGES[page]
            url = f"{address}/{path.format(study=quote(arguments.study), trial=arguments.trial)}"
            if not arguments.all:
                picture = _taken(browser, url, awaited, "light", WIDTHS[0])
                OUT.mkdir(exist_ok=True)
                Image.open(BytesIO(picture)).save(OUT / f"{page}.webp", quality=60, method=6)
                continue
            arguments.all.mkdir(exist_ok=True)
            for theme in THEMES:
                for width in WIDTHS:
                    picture = _taken(browser, url, awaited, theme, width, whole=True)
                    (arguments.all / f"{page}-{theme}-{width}.png").write_bytes(picture)
        browser.close()


def _taken(browser: Any, url: str, awaited: str, theme: str, width: int, *, whole: bool = False) -> bytes:
    """The picture of a page, as PNG."""
    context = browser.new_context(viewport={"width": width, "height": HEIGHT}, color_scheme=theme)
    page = context.new_page()
    try:
        page.goto(url)
        page.locator(awaited).first.wait_for(state="attached", timeout=1000 * PATIENCE_S)
        page.wait_for_timeout(SETTLED_MS)
        if whole:
            height = page.get_by_test_id("stMainBlockContainer").evaluate("part => part.scrollHeight")
            page.set_viewport_size({"width": width, "height": max(HEIGHT, int(height))})
            page.wait_for_timeout(SETTLED_MS)
        return bytes(page.screenshot())
    finally:
        context.close()


@contextmanager
def _served(storage: str) -> Iterator[str]:
    """The address of a dashboard that runs until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(command(storage, port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address, end = f"http://127.0.0.1:{port}", time.monotonic() + PATIENCE_S
    try:
        while True:
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=2).close()
                break
            except OSError:
                if time.monotonic() > end or server.poll() is not None:
                    raise SystemExit("the dashboard did not start") from None
                time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)


if __name__ == "__main__":
    main()
