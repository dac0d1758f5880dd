"""Check this exported folder on this machine, and say what differs from the export.

python verify.py                 files, versions, outputs and latency
python verify.py --data FOLDER   also the accuracy on images in FOLDER/<class>/; needs Pillow
python verify.py --threads N     with another number of threads than the export
python verify.py --json          one JSON value instead of a table

Further formats are compared, too, if their packages are installed. Exit code 1 if a line fails, 2 if an
argument is wrong. Needs numpy and the runtime that requirements.txt names; with the packages of a further format alone,
only that format is run.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent
if not __package__:  # a copy in an exported folder, which imports what lies beside it
    sys.path.insert(0, str(FOLDER))
from trials.export.scripts.run import outputs_of
from trials.export.scripts.verification import conditions, golden, onnx_file
from trials.export.scripts.verification.accuracy import NoImagesError, accuracy_line, check_data
from trials.export.scripts.verification.formats import Open as OpenFormat
from trials.export.scripts.verification.formats import beside, format_lines
from trials.export.scripts.verification.lines import Line, line, table
from trials.export.scripts.verification.steps import step_lines
from trials.export.scripts.verification.sums import SUMS, is_inside, listed
from trials.export.scripts.verification.whole import is_cut_off

Open = Callable[[Path, int], Callable[[np.ndarray], np.ndarray]]


def verify(
    folder: Path,
    open_network: Open | None,
    runtime: tuple[str, str] | None,
    *,
    find_format: Callable[[Mapping[str, Any]], OpenFormat] = beside,
    data: Path | None = None,
    threads: int | None = None,
) -> list[Line]:
    """Check a folder.

    Args:
        folder: the exported folder.
        open_network: opens the network with a number of threads; None if its runtime is not installed.
        runtime: name and version of the runtime that ``open_network`` uses; None if it is not installed.
        find_format: returns the function that opens a further format; see ``format_lines``.
        data: a folder of images, with one folder for each class.
        threads: number of threads; by default as in the export.
    """
    lines = list(_file_lines(folder))
    try:
        for item in _content_lines(folder, open_network, runtime, find_format, data, threads):
            lines.append(item)
    except Exception as error:  # damaged files raise errors of every kind
        reason = f"{type(error).__name__}: {error}"
        lines.append(line("folder", "fail", "a file is missing, or is not as an export writes it", reason))
    return lines


def _content_lines(
    folder: Path,
    open_network: Open | None,
    runtime: tuple[str, str] | None,
    find_format: Callable[[Mapping[str, Any]], OpenFormat],
    data: Path | None,
    threads: int | None,
) -> Iterator[Line]:
    report, steps = (_json(folder / name) for name in ("report.json", "preprocessing.json"))
    with np.load(folder / "golden.npz", allow_pickle=False) as file:
        arrays = dict(file)
    alone = report["alone"]
    count = threads or alone["threads"]
    yield from _graph_lines(folder, report)
    yield from golden.label_lines(arrays, steps)
    yield from golden.input_lines(arrays, steps)
    yield from step_lines(steps, report)
    if open_network is None or runtime is None:
        formats = list(format_lines(folder, report, arrays, find_format))
        yield _missing_line(alone, formats)
        yield from formats
        return
    yield _version_line(alone, runtime)
    try:
        run = open_network(folder, count)
        outputs = outputs_of(run, arrays["inputs"], steps["input"]["shape"][0])
    except Exception as error:  # runtimes raise errors of every kind
        yield line("outputs", "fail", "the network can't be run", " ".join(str(error).split())[:300])
        return
    yield golden.output_line(arrays, outputs, report["golden"]["tolerance"])
    yield from format_lines(folder, report, arrays, find_format)
    if data is not None:
        yield accuracy_line(run, data, steps, report["scores"])
    yield from conditions.compare(conditions.measure(run, _batch(arrays, steps), count, runtime), alone)


def _batch(arrays: Mapping[str, np.ndarray], steps: dict[str, Any]) -> np.ndarray:
    return arrays["inputs"][:1].repeat(steps["input"]["shape"][0], 0)


def _json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        OSError: it can't be read.
        ValueError: it is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path.name} is not JSON: {error}") from None


def _file_lines(folder: Path) -> Iterator[Line]:
    unverified = folder / "UNVERIFIED"
    if unverified.exists():
        yield line("export", "fail", "the export itself failed its verification", unverified.read_text().strip())
    try:
        sums, report = dict(listed(folder)), _json(folder / "report.json")
        sizes, measured = report.get("files", {}), report["file"]["name"]
    except Exception as error:  # damaged files raise errors of every kind
        reason = f"{type(error).__name__}: {error}"
        yield line("files", "fail", "SHA256SUMS or report.json can't be read", reason)
        return
    wrong = 0
    for name, expected in sums.items():
        path = folder / name
        if not is_inside(name):
            reason = "SHA256SUMS lists a path that leaves the folder"
        elif not path.is_file():
            reason = "it is missing"
        elif hashlib.sha256(path.read_bytes()).hexdigest() == expected:
            continue
        else:
            reason = _difference(path, sizes.get(name, 0))
        wrong += 1
        yield line(f"file {name}", "fail", "its SHA-256 differs", reason)
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    needed = {measured, "golden.npz", "preprocessing.json", "report.json"}
    for name in sorted({*present, *needed} - {*sums, SUMS}):
        if "__pycache__" not in name.split("/"):  # written by Python when it ran a script
            wrong += 1
            yield line(f"file {name}", "fail", "SHA256SUMS does not list it", "it was added, or its line was removed")
    if not wrong:
        yield line("files", "pass", "1 file is as exported" if len(sums) == 1 else f"{len(sums)} files are as exported")


def _difference(path: Path, size: int) -> str:
    """What happened to a file of ``size`` bytes whose hash differs."""
    found = path.stat().st_size
    cut_off = is_cut_off(path) if found < size else False
    if cut_off is None:
        return f"its content was changed or cut off after the export: {found:,} of {size:,} bytes"
    return f"it is truncated: {found:,} of {size:,} bytes" if cut_off else "its content was changed after the export"


def _graph_lines(folder: Path, report: dict[str, Any]) -> Iterator[Line]:
    recorded, name = report["graph"], report["file"]["name"]
    if not is_inside(name):
        yield line("graph", "fail", f"report.json names the file {name!r}", "this path leaves the folder")
        return
    try:
        found = onnx_file.describe((folder / name).read_bytes())
    except (OSError, ValueError, IndexError) as error:
        yield line("graph", "fail", f"{name} is not a whole ONNX file", str(error))
        return
    if found == recorded:
        yield line("graph", "pass", f"opset {found['opset']}, {len(found['tensors'])} tensors and all operators agree")
        return
    if found["opset"] != recorded["opset"]:
        reason = "operators may compute something else in another opset; export again"
        yield line("opset", "fail", f"opset {found['opset']}, exported with {recorded['opset']}", reason)
    before, now = recorded["tensors"], found["tensors"]
    for word, names in {
        "changed": [name for name in before if name in now and now[name] != before[name]],
        "added": [name for name in now if name not in before],
        "removed": [name for name in before if name not in now],
    }.items():
        if names:
            rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
            reason = f"a weight was {word} in the file"
            yield line("weights", "fail", f"{word}: {', '.join(names[:3])}{rest}", reason)
    if found["nodes"] != recorded["nodes"]:
        yield line("graph", "fail", "its operators are not those of the export", "the graph was changed in the file")
    else:
        yield line("graph", "fail", "it differs from the export", "the operators are equal; see the lines above")


def _version_line(alone: dict[str, Any], runtime: tuple[str, str]) -> Line:
    name, version = alone["runtime"]
    found = f"{runtime[0]} {runtime[1]}"
    if runtime == (name, version):
        return line("runtime", "pass", found)
    reason = f"exported with {name} {version}: outputs and latency can differ for this reason"
    return line("runtime", "warning", found, reason)


def _missing_line(alone: dict[str, Any], formats: list[Line]) -> Line:
    """The line of a runtime that is not installed: a failure, unless a further format was run instead."""
    name, version = alone["runtime"]
    verdict = "fail" if all(item["verdict"] == "not judged" for item in formats) else "not judged"
    return line("runtime", verdict, f"{name} can't be imported", f"pip install {name}=={version}")


def main(open_network: Open | None, runtime: tuple[str, str] | None) -> None:
    """Verify the folder of this script, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--record", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.record:
        assert open_network is not None
        assert runtime is not None
        print(json.dumps(record(FOLDER, open_network, runtime, given.threads or 1)))
        return
    try:
        check_data(FOLDER, given.data)
    except NoImagesError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    lines = verify(FOLDER, open_network, runtime, data=given.data, threads=given.threads)
    print(json.dumps(lines, indent=2) if given.json else table(lines))
    sys.exit(any(item["verdict"] == "fail" for item in lines))


def record(folder: Path, open_network: Open, runtime: tuple[str, str], threads: int) -> dict[str, Any]:
    """Latency and conditions on this machine, with which later verifications compare."""
    with np.load(folder / "golden.npz", allow_pickle=False) as arrays:
        inputs = _batch(arrays, _json(folder / "preprocessing.json"))
    return conditions.measure(open_network(folder, threads), inputs, threads, runtime)


if __name__ == "__main__":
    try:
        from trials.export.scripts.network_onnxruntime import RUNTIME, open_network
    except ImportError:
        main(None, None)
    else:
        main(open_network, RUNTIME)
