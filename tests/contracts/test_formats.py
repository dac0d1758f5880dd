"""The contract of every registered export format: a network has the same outputs in it, or is refused by name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from nas.errors import ExportError, MissingPackageError, PlanError
from nas.export.checking.expected import expect
from nas.export.formats import FORMATS, Format, FormatOptions, Source, make_formats
from nas.export.formats.compare import check_outputs
from nas.export.formats.environment import EnvironmentFormat
from nas.export.formats.timm import Timm
from nas.export.onnx import OnnxExporter
from nas.export.seeding import seed_weights
from nas.extras import is_installed
from nas.space import Network, SearchSpace
from nas.space.chooser import RandomChooser
from nas.space.sampling import Searched
from nas.tasks.recorded import RecordedClassification
from search_spaces.timm_family import TimmFamily
from search_spaces.timm_model import TimmModel
from tests.contracts.test_exporters import NETWORKS, SHAPE, images, make_network


def sparse(name: str) -> Network:
    """A network with half of the weights of every layer at zero."""
    network = make_network(name)
    with torch.no_grad():
        for path in network.bits:
            weight = network.model.get_submodule(path).weight
            weight[weight.abs() < weight.abs().median()] = 0.0
    return network


def timm_network(space: SearchSpace, seed: int = 0, size: int = SHAPE[-1]) -> Network:
    """A random network of a space of timm's networks."""
    searched = Searched(space, {}, (), RecordedClassification([3, size, size], 3, ["a", "b", "c"]))
    network = searched.build(searched.sample(RandomChooser(seed)).architecture, seed)
    seed_weights(network, (1, 3, size, size), "formats")
    network.finalize()
    return network


def held(made: Format) -> Network:
    """A network that the format can hold."""
    return timm_network(TimmModel("resnet10t")) if isinstance(made, Timm) else make_network("plain")


PLAIN = FormatOptions()
CASES = {
    "fp32": lambda name: make_network(name, 32),
    "fp16": lambda name: make_network(name, 16),
    "int8": lambda name: make_network(name, 8),
    "int4": lambda name: make_network(name, 4),
    "sparse": sparse,
}


@pytest.fixture(params=FORMATS.names())
def made(request: pytest.FixtureRequest) -> Format:
    python = os.environ.get(f"{request.param.upper()}_PYTHON")
    found = FORMATS.get(request.param)()
    found.python = python
    if isinstance(found, EnvironmentFormat) and python is None:
        pytest.skip(f"{request.param.upper()}_PYTHON does not name the Python of its environment")
    for package in (*found.requires, *found.writes_with):
        if python is None and not is_installed(package):
            pytest.skip(f"{package} is not installed")
    return found


def source_of(network: Network, folder: Path, options: FormatOptions = PLAIN) -> Source:
    calibration = images(64)
    artifact = OnnxExporter().export(network, folder / "model.onnx", input_shape=SHAPE, calibration=calibration)
    return Source(network, artifact, calibration, options=options)


def check_or_refused(made: Format, source: Source, folder: Path) -> None:
    folder.mkdir()
    try:
        made.check(source)
    except ExportError as error:
        refusal = str(error)
    else:
        refusal = ""
    if refusal:
        assert refusal.startswith("format '")
        assert not list(folder.iterdir())
        return
    files = made.write(source, folder)
    assert {path for path in folder.rglob("*") if path.is_file()} == set(files)
    check_outputs(made, source, folder, files, images(8, seed=1), "made")


@pytest.mark.parametrize("case", ["fp32", "int8", "sparse"])
def test_a_network_has_the_same_outputs_or_is_refused_by_name(made: Format, case: str, tmp_path: Path) -> None:
    check_or_refused(made, source_of(CASES[case]("plain"), tmp_path), tmp_path / "made")


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("case", CASES)
def test_every_network_has_the_same_outputs_or_is_refused_by_name(
    made: Format, case: str, name: str, tmp_path: Path
) -> None:
    check_or_refused(made, source_of(CASES[case](name), tmp_path), tmp_path / "made")


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("case", CASES)
def test_any_number_of_inputs_at_once(made: Format, case: str, name: str, tmp_path: Path) -> None:
    source = source_of(CASES[case](name), tmp_path, FormatOptions(dynamic_batch=True))
    check_or_refused(made, source, tmp_path / "made")


def test_a_file_for_any_number_of_inputs(tmp_path: Path) -> None:
    made = FORMATS.get("onnx")()
    source = source_of(make_network("segmentation"), tmp_path, FormatOptions(dynamic_batch=True))
    files = made.write(source, tmp_path)
    assert [path.name for path in files] == ["model.dynamic.onnx"]
    inputs = images(5, seed=1)
    found = made.outputs(tmp_path, inputs.numpy(), batch=5)
    expected = expect(source.network.model, inputs, 5)
    np.testing.assert_allclose(found, expected.outputs, atol=1e-4 * expected.spread)


def test_a_newer_opset_is_written_and_an_unknown_one_refused(tmp_path: Path) -> None:
    made = FORMATS.get("onnx")()
    source = source_of(make_network("plain", 8), tmp_path, FormatOptions(opset=21))
    check_or_refused(made, source, tmp_path / "made")
    assert (tmp_path / "made" / "model.opset21.onnx").exists()
    with pytest.raises(ExportError, match=r"format 'onnx': opset 7; this network can be written in opset 18 to \d+"):
        made.check(Source(source.network, source.artifact, source.calibration, options=FormatOptions(opset=7)))


def test_a_format_that_computes_something_else_is_refused(
    made: Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_of(held(made), tmp_path)
    made.check(source)
    files = made.write(source, tmp_path)
    own = made.outputs
    monkeypatch.setattr(made, "outputs", lambda *given: own(*given) * np.float32(1.01))
    with pytest.raises(ExportError, match=r"format 'made': .* differs from the network by"):
        check_outputs(made, source, tmp_path, files, images(8, seed=1), "made")


@pytest.mark.slow
def test_an_opener_runs_alone_and_the_requirements_are_pinned(made: Format, tmp_path: Path) -> None:
    source = source_of(held(made), tmp_path)
    made.check(source)
    made.write(source, tmp_path)
    inputs = images(1, seed=1).numpy()
    np.save(tmp_path / "inputs.npy", inputs)
    code = (
        "import sys, numpy as np; from pathlib import Path; from opener import open_network; "
        "run, _ = open_network(Path('.')); np.save('outputs.npy', run(np.load('inputs.npy'))); "
        "assert not [name for name in sys.modules if name.partition('.')[0] in ('nas', 'search_spaces', 'trials')]"
    )
    (tmp_path / "opener.py").write_text(made.script())
    subprocess.run([made.python or sys.executable, "-c", code], cwd=tmp_path, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "outputs.npy"), made.outputs(tmp_path, inputs))
    assert all("==" in line for line in made.requirements())


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.extras.is_installed", lambda package: package == "measured_nas")
    with pytest.raises(ImportError, match=r"format 'openvino' needs .* pip install 'measured-nas\[openvino\]'"):
        make_formats(["openvino"])


@pytest.mark.parametrize("space", [TimmModel("resnet10t"), TimmFamily("convnext"), TimmFamily("vit")])
def test_timm_builds_its_networks_from_the_folder(space: SearchSpace, tmp_path: Path) -> None:
    inputs = torch.rand(64, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    for seed in (1, 2):
        network, made, folder = timm_network(space, seed, size=16), Timm(), tmp_path / str(seed)
        folder.mkdir()
        artifact = OnnxExporter().export(network, folder / "model.onnx", input_shape=(1, 3, 16, 16), calibration=inputs)
        source = Source(network, artifact, inputs)
        made.check(source)
        files = made.write(source, folder)
        assert check_outputs(made, source, folder, files, inputs[:8], "timm") < 1e-5


def test_timm_refuses_what_it_can_not_build(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="format 'timm': timm's create_model can't build this network"):
        Timm().check(source_of(timm_network(TimmFamily("byobnet")), tmp_path))
    network = timm_network(TimmModel("resnet10t"))
    source = source_of(network, tmp_path)
    network.bits = dict.fromkeys(["fc"], 8)
    with pytest.raises(ExportError, match="format 'timm': layers of this network have 8 bits"):
        Timm().check(source)
    network.bits = {}
    network.model.fc = torch.nn.Linear(256, 3)
    with pytest.raises(ExportError, match=r"timm's resnet10t has other tensors than this network: .*fc\.weight"):
        Timm().check(source)


def test_an_environment_that_is_missing_or_incomplete_is_named_with_the_command_that_makes_it() -> None:
    with pytest.raises(PlanError, match=r"python -m venv litert && .*litert\.txt; then add --format-python litert="):
        make_formats(["litert"])
    with pytest.raises(MissingPackageError, match=r"lacks a package .* -m pip install -r .*executorch\.txt"):
        make_formats(["executorch"], {"executorch": sys.executable})
    with pytest.raises(PlanError, match="no/python can't be run"):
        make_formats(["executorch"], {"executorch": "no/python"})


def test_litert_refuses_fewer_bits_before_anything_runs(tmp_path: Path) -> None:
    made = FORMATS.get("litert")()
    with pytest.raises(ExportError, match="format 'litert': layers of this network have 8 bits"):
        made.check(source_of(make_network("plain", 8), tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("made", ["executorch"], indirect=True)
@pytest.mark.parametrize("case", ["fp16", "int8"])
def test_executorch_holds_fewer_bits_of_a_network_smaller_than_its_structure(
    made: Format, case: str, tmp_path: Path
) -> None:
    source = source_of(CASES[case]("plain"), tmp_path)
    made.check(source)
    (path,) = made.write(source, tmp_path)
    assert path.stat().st_size > sum(4 * tensor.numel() for tensor in source.network.model.state_dict().values())
