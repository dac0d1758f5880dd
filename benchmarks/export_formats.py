"""Does every format compute what the network computes, for every space and precision?

    python benchmarks/export_formats.py
    python benchmarks/export_formats.py --formats torch onnx --spaces large_kernel --precisions fp32 int8
    python benchmarks/export_formats.py --formats torch --python /tmp/other/bin/python
    python benchmarks/export_formats.py --formats litert --pythons litert=litert/bin/python

For each space and precision, a random network with seeded weights is exported for the images of scikit-learn's digits.
Each format is then opened by its own script in a fresh process, by default of this Python, or of one that has only the
packages of the format (`--python`), and runs 64 validation images. A cell contains the largest difference from the
measured file, in standard deviations of the output, and the share of images with the same answer; or the reason for
which the format refuses the network.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from nas.errors import NasError
from nas.export.formats import FORMATS, Format, Source
from nas.export.onnx import OnnxExporter
from nas.export.seeding import seed_weights
from nas.quantization.precision import BITS
from nas.scratch import Scratch
from nas.space import Network, SearchSpace
from nas.space.chooser import RandomChooser
from nas.space.sampling import Searched
from nas.space.site import find_sites
from nas.tasks.digits import Digits
from search_spaces import SPACES
from search_spaces.families import FAMILIES

SPACES_HERE = {
    **{name: {"name": name} for name in ("large_kernel", "plain_convnet", "sparse_convnet")},
    "sparse_convnet, kept": {"name": "sparse_convnet", "kept": [0.2, 1.0]},
    "module": {"name": "module", "factory": "search_spaces.module:three_layers"},
    "timm_model": {"name": "timm_model", "model": "resnet10t"},
    **{f"timm_family {name}": {"name": "timm_family", "family": name} for name in FAMILIES.names()},
}
IMAGES = 64
CODE = (
    "import numpy as np; from pathlib import Path; from opener import open_network; "
    "run, batch = open_network(Path('.')); x = np.load('inputs.npy'); n = batch or len(x); "
    "np.save('outputs.npy', np.concatenate([run(x[i:i + n]) for i in range(0, len(x), n)]))"
)


def main() -> None:
    options = parsed()
    task = Digits(image_size=16)
    images = torch.stack([task.dataset("validation")[index][0] for index in range(IMAGES)])
    table = Table("space", "precision", *options.formats)
    for name in options.spaces:
        for precision in options.precisions:
            with Scratch("nas-formats-") as folder:
                cells = row(SPACES_HERE[name], task, precision, options, images, Path(folder))
            table.add_row(name, precision, *cells)
    Console(width=200).print(table)


def row(
    spec: dict[str, object],
    task: Digits,
    precision: str,
    options: argparse.Namespace,
    images: torch.Tensor,
    folder: Path,
) -> list[str]:
    network = made(spec, task, options.seed)
    shape = (1, *task.input_shape)
    seed_weights(network, shape, "formats")
    network.finalize()
    sites = [site.module for site in find_sites(network.model) if site.kind == "weight"]
    network.bits = dict.fromkeys(sites, BITS[precision])
    artifact = OnnxExporter().export(network, folder / "model.onnx", input_shape=shape, calibration=images)
    source = Source(network, artifact, images)
    measured = FORMATS.get("onnx")().outputs(folder, images.numpy())
    return [cell(form_of(name, options), source, images, measured, folder / name, options) for name in options.formats]


def form_of(name: str, options: argparse.Namespace) -> Format:
    form = FORMATS.get(name)()
    form.python = options.pythons.get(name)
    return form


def made(spec: dict[str, object], task: Digits, seed: int) -> Network:
    space: SearchSpace = SPACES.get(str(spec["name"]))(**{key: value for key, value in spec.items() if key != "name"})
    searched = Searched(space, spec, (), task)
    return searched.build(searched.sample(RandomChooser(seed)).architecture, seed)


def cell(
    form: Format, source: Source, images: torch.Tensor, measured: np.ndarray, folder: Path, options: argparse.Namespace
) -> str:
    folder.mkdir()
    try:
        form.check(source)
        form.write(source, folder)
    except NasError as error:
        return f"refused: {str(error).partition(': ')[2]}"
    np.save(folder / "inputs.npy", images.numpy())
    (folder / "opener.py").write_text(form.script())
    started = time.perf_counter()
    done = subprocess.run(
        [options.pythons.get(folder.name, options.python), "-c", CODE], cwd=folder, capture_output=True, text=True
    )
    if done.returncode:
        return f"FAILED: {done.stderr.strip().splitlines()[-1]}"
    found = np.load(folder / "outputs.npy")
    error = float(np.abs(found - measured).max() / measured.std())
    same = float((found.argmax(1) == measured.argmax(1)).mean())
    return f"{error:.1e}, {same:.0%} ({time.perf_counter() - started:.0f} s)"


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--formats", nargs="+", choices=FORMATS.names(), default=FORMATS.names())
    parser.add_argument("--spaces", nargs="+", choices=list(SPACES_HERE), default=list(SPACES_HERE))
    parser.add_argument("--precisions", nargs="+", choices=list(BITS), default=["fp32", "fp16", "int8", "int4"])
    parser.add_argument("--python", default=sys.executable, help="Python that opens the files")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pythons", nargs="*", default=[], help="FORMAT=PATH, as for nas export --format-python")
    options = parser.parse_args()
    options.pythons = dict(item.split("=", 1) for item in options.pythons)
    return options


if __name__ == "__main__":
    main()
