"""How much disk space do the base installation and each extra take?

    python benchmarks/install_sizes.py
    python benchmarks/install_sizes.py --json

``base`` is what ``pip install measured-nas`` installs; each further row is what an extra adds to the base. Sizes are
the sums of the files that are recorded for the installed distributions, without compiled modules. They depend on the
build of torch: on Linux, the build with CUDA adds gigabytes to the base.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Iterable, Sequence
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rich.console import Console
from rich.table import Table

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
BASE = "base"
#: Extras for users; ``dev`` is for contributors.
EXTRAS = [name for name in PROJECT["optional-dependencies"] if name != "dev"]
#: How many of the largest distributions a row names.
NAMED = 4


def layer(extras: Sequence[str] = ()) -> dict[str, Distribution]:
    """Name → distribution, for everything that is installed with the project and ``extras``.

    Raises:
        PackageNotFoundError: a distribution is not installed here.
    """
    own = PROJECT["name"]
    pending = [*PROJECT["dependencies"], *(f"{own}[{extra}]" for extra in extras)]
    found: dict[str, Distribution] = {}
    followed: set[tuple[str, str]] = set()
    while pending:
        wanted = Requirement(pending.pop())
        name = canonicalize_name(wanted.name)
        for extra in ("", *wanted.extras):
            if (name, extra) in followed:
                continue
            followed.add((name, extra))
            if name == own:
                pending += PROJECT["optional-dependencies"].get(extra, [])
                continue
            found[name] = distribution(name)
            pending += _applicable(found[name].requires or [], extra)
    return found


def _applicable(requirements: Iterable[str], extra: str) -> list[str]:
    """The requirements that apply to this machine and to one extra of the distribution that states them."""
    parsed = map(Requirement, requirements)
    return [str(item) for item in parsed if item.marker is None or item.marker.evaluate({"extra": extra})]


def size_bytes(item: Distribution) -> int:
    """Total size of the recorded files of a distribution."""
    places = [Path(str(file.locate())) for file in item.files or [] if file.suffix != ".pyc"]
    return sum(place.stat().st_size for place in places if place.is_file())


def row(name: str, added: dict[str, Distribution]) -> dict[str, Any]:
    """One row of the table: number and size of the distributions, and the largest of them."""
    sizes = {key: size_bytes(item) for key, item in added.items()}
    largest = sorted(sizes, key=lambda key: -sizes[key])[:NAMED]
    return {
        "layer": name,
        "distributions": len(sizes),
        "mb": sum(sizes.values()) / 1e6,
        "largest_mb": {key: sizes[key] / 1e6 for key in largest},
    }


def rows() -> list[dict[str, Any]]:
    """One row for the base, then one for each extra."""
    base = layer()
    extras = {extra: layer([extra]) for extra in EXTRAS}
    return [
        row(BASE, base),
        *(row(extra, {key: item for key, item in found.items() if key not in base}) for extra, found in extras.items()),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON list instead of the table")
    found = rows()
    if parser.parse_args().json:
        print(json.dumps(found, indent=2))
        return
    table = Table("layer", "distributions", "MB", "largest, MB", box=None, padding=(0, 2))
    for item in found:
        largest = ", ".join(f"{key} {size:.0f}" for key, size in item["largest_mb"].items())
        table.add_row(item["layer"], str(item["distributions"]), f"{item['mb']:.0f}", largest)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
