"""The packages import exactly the distributions that ``pyproject.toml`` requires."""

from __future__ import annotations

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
CONFIGURATION = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = CONFIGURATION["project"]
FORMATS = ROOT / "nas" / "export" / "formats"
OURS = [pattern.rstrip("*") for pattern in CONFIGURATION["tool"]["setuptools"]["packages"]["find"]["include"]]


def imported() -> set[str]:
    """Top-level packages that any module of this project imports, at module level or within functions."""
    found = set()
    for file in (file for package in OURS for file in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found - set(OURS) - sys.stdlib_module_names


def asked_elsewhere() -> set[str]:
    """Distributions in the environments that formats with other libraries are written and run in."""
    lines = [line for file in (FORMATS / "environments").glob("*.txt") for line in file.read_text().splitlines()]
    return {canonicalize_name(Requirement(line).name) for line in lines if line and not line.startswith(("#", "-"))}


def test_every_import_is_asked_for_and_the_other_way_round() -> None:
    extras = PROJECT["optional-dependencies"]
    asked = {
        canonicalize_name(Requirement(item).name)
        for item in (*PROJECT["dependencies"], *(item for name in extras if name != "dev" for item in extras[name]))
    }
    owners = packages_distributions()
    used = set()
    for package in imported() & owners.keys():
        # Several distributions share a namespace such as opentelemetry; those that are asked for bring the others.
        known = {canonicalize_name(owner) for owner in owners[package]}
        assert known & asked, package
        used |= known & asked
    beside = {file.stem for file in (FORMATS / "writers").glob("*.py")} | {"model"}  # model.py is generated
    not_installed = {canonicalize_name(package) for package in imported() - owners.keys() - beside}
    assert not_installed <= asked_elsewhere(), "an environment of its own has what this one lacks"
    used_by_others = {"cmake", "onnxscript"}  # used by the build of the kernels and by torch
    assert asked - used == {PROJECT["name"], *used_by_others}
