import ctypes
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nas.errors import MeasureError
from nas.kernels import build

CMAKE = b"""cmake_minimum_required(VERSION 3.18)
project(small LANGUAGES NONE)
add_custom_target(small ALL ${CMAKE_CXX_COMPILER} -shared -fPIC ${CMAKE_SOURCE_DIR}/small.cpp -o
    measured_nas_kernels.so)
"""
Sources = Callable[[bytes], None]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sources]:
    """An empty cache, and a library that is built quickly."""
    monkeypatch.setenv("HOME", str(tmp_path))

    def set_source(code: bytes) -> None:
        monkeypatch.setattr(build, "source_files", lambda: {"CMakeLists.txt": CMAKE, "small.cpp": code})
        build._hash.cache_clear()

    set_source(b'extern "C" int answer() { return 42; }')
    try:
        build._tools()
    except MeasureError as error:
        pytest.skip(str(error))
    yield set_source
    build._hash.cache_clear()  # the hash of this source


def test_many_at_once_build_once(small: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    builds = []
    real = build._build
    monkeypatch.setattr(build, "_build", lambda *arguments: (builds.append(1), real(*arguments)))
    with ThreadPoolExecutor(3) as threads:
        found = {future.result() for future in [threads.submit(build.library) for _ in range(3)]}
    assert len(found) == len(builds) == 1
    (path,) = found
    assert ctypes.CDLL(str(path)).answer() == 42
    assert {item.name for item in path.parent.iterdir()} == {"lock", path.name}


def test_a_change_of_the_source_is_another_library(small: Sources) -> None:
    before = build.library()
    small(b'extern "C" int answer() { return 43; }')
    assert ctypes.CDLL(str(build.library())).answer() == 43
    assert before.exists()


def test_a_build_that_fails_says_why_and_leaves_no_library(small: Sources, tmp_path: Path) -> None:
    small(b"int answer() { return forty_two; }")
    for _ in range(2):
        with pytest.raises(MeasureError, match="forty_two"):
            build.library()
    assert not list(tmp_path.rglob("*.so"))


def test_without_a_compiler_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("cmake", "make"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MeasureError, match=r"lacks a C\+\+ compiler: apt-get install g\+\+ make, and pip install"):
        build.library()


def test_a_cache_that_can_not_be_written_is_an_error(small: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/proc/none")
    with pytest.raises(MeasureError, match="can't be stored in /proc/none"):
        build.library()
