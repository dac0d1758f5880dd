"""Check this exported folder on this machine, and say what differs from the export.

python verify.py                 files, versions, outputs and latency
python verify.py --data FOLDER   also the accuracy on images in FOLDER/<class>/; needs Pillow
python verify.py --threads N     with another number of threads than the export
python verify.py --json          one JSON value instead of a table

Further formats are compared, too, if their packages are installed. Exit code 1 if a line fails. Needs numpy and the
runtime that requirements.txt names.
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
from trials.export.scripts.verification.accuracy import accuracy_line
from trials.export.scripts.verification.formats import Open as OpenFormat
from trials.export.scripts.verification.formats import beside, format_lines
from trials.export.scripts.verification.lines import Line, line, table
from trials.export.scripts.verification.sums import is_inside, listed

Open = Callable[[Path, int], Callable[[np.ndarray], np.ndarray]]


def verify(
    folder: Path,
    open_network: Open,
    runtime: tuple[str, str],
    *,
    find_format: Callable[[Mapping[str, Any]], OpenFormat] = beside,
    data: Path | None = None,
    threads: int | None = None,
) -> list[Line]:
    """Check a folder.

    Args:
        folder: the exported folder.
        open_network: opens the network with a number of threads.
        runtime: name and version of the runtime that ``open_network`` uses.
        find_format: returns the function that opens a further format; see ``format_lines``.
        data: a folder of images, with one folder for each class.
        threads: number of threads; by default as in the export.
    """
    try:
        report, steps = (_json(folder / name) for name in ("report.json", "preprocessing.json"))
        with np.load(folder / "golden.npz", allow_pickle=False) as file:
            arrays = dict(file)
    except Exception as error:  # damaged files raise errors of every kind
        return [*_file_lines(folder), line("folder", "fail", "it can't be read", f"{type(error).__name__}: {error}")]
    alone = report["alone"]
    count = threads or alone["threads"]
    lines = [*_file_lines(folder), *_graph_lines(folder, report), _version_line(alone, runtime)]
    lines += [*golden.label_lines(arrays, steps), *golden.input_lines(arrays, steps)]
    try:
        run = open_network(folder, count)
        outputs = outputs_of(run, arrays["inputs"], steps["input"]["shape"][0])
    except Exception as error:  # runtimes raise errors of every kind
        return [*lines, line("outputs", "fail", "the network can't be run", " ".join(str(error).split())[:300])]
    lines.append(golden.output_line(arrays, outputs, report["golden"]["tolerance"]))
    lines += format_lines(folder, report, arrays, find_format)
    if data is not None:
        lines.append(accuracy_line(run, data, steps, report["scores"]))
    now = conditions.measure(run, _batch(arrays, steps), count, runtime)
    return [*lines, *conditions.compare(now, alone)]


def _batch(arrays: Mapping[str, np.ndarray], steps: dict[str, Any]) -> np.ndarray:
    return arrays["inputs"][:1].repeat(steps["input"]["shape"][0], 0)


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _file_lines(folder: Path) -> Iterator[Line]:
    unverified = folder / "UNVERIFIED"
    if unverified.exists():
        yield line("export", "fail", "the export itself failed its verification", unverified.read_text().strip())
    try:
        sums = listed(folder)
        sizes = _json(folder / "report.json").get("files", {})
    except (OSError, ValueError) as error:
        yield line("files", "fail", "SHA256SUMS or report.json can't be read", str(error))
        return
    wrong = 0
    for name, expected in sums:
        path = folder / name
        if not is_inside(name):
            reason = "SHA256SUMS lists a path that leaves the folder"
        elif not path.is_file():
            reason = "it is missing"
        elif hashlib.sha256(path.read_bytes()).hexdigest() == expected:
            continue
        elif path.stat().st_size < sizes.get(name, 0):
            reason = f"it is truncated: {path.stat().st_size:,} of {sizes[name]:,} bytes"
        else:
            reason = "its content was changed after the export"
        wrong += 1
        yield line(f"file {name}", "fail", "its SHA-256 differs", reason)
    if not wrong:
        yield line("files", "pass", f"{len(sums)} files are as exported")


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
    if found["opset"] != recorded["opset"]:
        reason = "operators may compute something else in another opset; export again"
        yield line("opset", "fail", f"opset {found['opset']}, exported with {recorded['opset']}", reason)
    changed = [name for name in recorded["tensors"] if found["tensors"].get(name) != recorded["tensors"][name]]
    if changed:
        rest = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        yield line("weights", "fail", f"changed: {', '.join(changed[:3])}{rest}", "a weight was changed in the file")
    if found["nodes"] != recorded["nodes"]:
        yield line("graph", "fail", "its operators are not those of the export", "the graph was changed in the file")
    if found == recorded:
        yield line("graph", "pass", f"opset {found['opset']}, {len(found['tensors'])} tensors and all operators agree")


def _version_line(alone: dict[str, Any], runtime: tuple[str, str]) -> Line:
    name, version = alone["runtime"]
    found = f"{runtime[0]} {runtime[1]}"
    if runtime == (name, version):
        return line("runtime", "pass", found)
    reason = f"exported with {name} {version}: outputs and latency can differ for this reason"
    return line("runtime", "warning", found, reason)


def main(open_network: Open, runtime: tuple[str, str]) -> None:
    """Verify the folder of this script, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--record", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.record:
        print(json.dumps(record(FOLDER, open_network, runtime, given.threads or 1)))
        return
    lines = verify(FOLDER, open_network, runtime, data=given.data, threads=given.threads)
    print(json.dumps(lines, indent=2) if given.json else table(lines))
    sys.exit(any(item["verdict"] == "fail" for item in lines))


def record(folder: Path, open_network: Open, runtime: tuple[str, str], threads: int) -> dict[str, Any]:
    """Latency and conditions on this machine, with which later verifications compare."""
    with np.load(folder / "golden.npz", allow_pickle=False) as arrays:
        inputs = _batch(arrays, _json(folder / "preprocessing.json"))
    return conditions.measure(open_network(folder, threads), inputs, threads, runtime)


if __name__ == "__main__":
    from trials.export.scripts.network_onnxruntime import RUNTIME, open_network

    main(open_network, RUNTIME)
