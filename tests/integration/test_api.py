"""The Python interface: one small study, searched, read, extended and exported through ``measured_nas``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import plotly.graph_objects as go
import pytest
import torch

import measured_nas as mn

PLAN = mn.Plan(
    name="small",
    task={"name": "digits", "image_size": 8},
    space={"name": "plain_convnet", "preset": "small"},
    estimator={"name": "training", "epochs": 2},
    executor="local",
    measure={"budget_s": 0.5, "max_drift": 9.0},
    budget={"trials": 3, "measurements": 0},
    artifacts={"retention": "all"},
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> mn.Study:
    storage = f"sqlite:///{tmp_path_factory.mktemp('api') / 'nas.db'}"
    with pytest.warns(mn.StudyWarning, match="3 of 3 complete candidates were trained for few optimiser steps"):
        return mn.search(PLAN, storage=storage, progress=False)


@pytest.fixture(scope="module")
def exported(study: mn.Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "out"
    row = study.best().export(folder)
    assert row["verification"] in ("pass", "warning")
    return folder


def test_a_study_reads_as_tables(study: mn.Study) -> None:
    table = study.trials()
    assert list(table.index) == [0, 1, 2]
    assert set(table["state"]) <= {"complete", "infeasible"}
    assert (table["latency_ms_low"] <= table["latency_ms"]).all()
    assert (table["latency_ms"] <= table["latency_ms_high"]).all()
    assert (table["train_s"] > 0).all()
    assert table["beware"].str.startswith("trained for").all()
    assert study.trial(0).beware[0] == table["beware"][0]
    assert list(study.task.class_names) == [str(digit) for digit in range(10)]
    for number, row in table.iterrows():
        choices = {name: row[f"choice.{name}"] for name in study.trial(int(number)).choices}
        assert choices == dict(study.trial(int(number)).choices)
    front = study.front()
    assert not front.empty
    assert front["latency_ms"].is_monotonic_increasing
    better = table[(table["accuracy"] >= front["accuracy"].max()) & ~table.index.isin(front.index)]
    assert (better["latency_ms"] >= front["latency_ms"].max()).all()


def test_objects_print_short(study: mn.Study) -> None:
    trial = study.best()
    accuracy, latency = trial.metrics["accuracy"].value, trial.metrics["latency_ms"].value
    assert repr(trial) == (
        f"<Trial {trial.number} of 'small': complete; accuracy {accuracy:.4g}; latency {latency:.4g} ms>"
    )
    assert repr(study).startswith("<Study 'small': complete; ")
    assert repr(study.summary).startswith("<StudySummary 'small': complete; ")
    assert len(repr(study.summary)) < 200


def test_the_front_is_a_figure(study: mn.Study) -> None:
    figure = study.plot_front()
    assert isinstance(figure, go.Figure)
    drawn = {int(number) for trace in figure.data if trace.customdata is not None for number in trace.customdata}
    assert drawn == {0, 1, 2}


def test_a_study_is_opened_by_name(study: mn.Study) -> None:
    again = mn.open_study(study.storage, "small")
    assert (again.state, again.plan) == (study.state, study.plan)
    assert mn.list_studies(study.storage) == ["small"]
    with pytest.raises(mn.NasError, match="did you mean 'small'"):
        mn.open_study(study.storage, "smal")
    with pytest.raises(mn.NasError, match="its trials are 0 to 2"):
        study.trial(3)
    with pytest.raises(mn.NasError, match="used up its budget"):
        study.resume(progress=False)
    assert [trial.state.name for trial in again.optuna().trials] == ["COMPLETE"] * 3


def test_the_trained_module_answers_as_the_exported_file(study: mn.Study, exported: Path) -> None:
    inputs = np.load(exported / "golden.npz")["inputs"]
    session = onnxruntime.InferenceSession(str(exported / "model.onnx"))
    expected = np.concatenate([session.run(None, {session.get_inputs()[0].name: one[None]})[0] for one in inputs])
    for module in (study.best().load_module(), mn.load_export(exported)):
        assert not module.training
        with torch.no_grad():
            np.testing.assert_allclose(module(torch.from_numpy(inputs)).numpy(), expected, atol=1e-4)


def test_an_export_into_a_used_folder_is_refused(study: mn.Study, exported: Path) -> None:
    with pytest.raises(mn.NasError, match="force=True"):
        study.best().export(exported)


def test_code_of_an_exported_folder_runs_only_when_trusted(exported: Path, tmp_path: Path) -> None:
    for file in ("architecture.json", "model.safetensors"):
        (tmp_path / file).write_bytes((exported / file).read_bytes())
    record = json.loads((tmp_path / "architecture.json").read_text())
    record["space"]["name"] = "somebody:Space"
    (tmp_path / "architecture.json").write_text(json.dumps(record))
    with pytest.raises(mn.NasError, match=r"somebody:Space.*trust_code=True"):
        mn.load_export(tmp_path)
    with pytest.raises(mn.NasError, match="no module 'somebody'"):
        mn.load_export(tmp_path, trust_code=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "does not exist"), ("{", "can't be read"), ("[]", "holds a list"), ("{}", "older version")],
)
def test_a_folder_that_is_no_export(content: str | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "architecture.json").write_text(content)
    with pytest.raises(mn.NasError, match=message):
        mn.load_export(tmp_path)


def test_any_file_is_measured(exported: Path) -> None:
    found = mn.measure(exported / "model.onnx")
    assert 0 < found.low_ms <= found.latency_ms <= found.high_ms
    with pytest.raises(mn.NasError, match=r"there is no file .*gone\.onnx"):
        mn.measure(exported / "gone.onnx")
    with pytest.raises(mn.NasError, match="did you mean 'onnxruntime'"):
        mn.measure(exported / "model.onnx", runtime="onnxruntim")


def test_more_trials(study: mn.Study) -> None:
    copy = mn.open_study(study.storage, study.name)
    with pytest.warns(mn.StudyWarning, match="few optimiser steps"):
        copy.extend(trials=1, progress=False)
    assert len(copy.trials()) == 4


@pytest.mark.slow  # the commands and the notebook are in every run
def test_a_script_needs_no_guard_and_shows_its_progress(tmp_path: Path) -> None:
    """Workers don't run the user's script again, and they find a space defined in a file beside it."""
    (tmp_path / "small_space.py").write_text(
        "from torch import nn\n"
        "import measured_nas as mn\n"
        "class Small(mn.SearchSpace):\n"
        "    def build(self, chooser, task):\n"
        "        width = chooser.choose('width', [2, 4], ordered=True)\n"
        "        return nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), task.head(width, 1))\n"
    )
    (tmp_path / "script.py").write_text(
        "import measured_nas as mn\n"
        "from small_space import Small\n"
        "print('started')\n"
        f"plan = mn.Plan(**{{**{PLAN.model_dump(exclude={'space', 'name', 'budget', 'code'})!r}, 'space': Small}}, "
        "budget={'trials': 2, 'measurements': 0})\n"
        "study = mn.search(plan, storage='sqlite:///nas.db')\n"
        "print(sorted(study.trials()['choice.width']))\n"
    )
    environment = {**os.environ, "PYTHONPATH": ""}
    ran = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "started\n[2, 4]\n"
    assert "100%" in ran.stderr
    assert "2/2" in ran.stderr


def test_what_workers_cannot_import_is_refused() -> None:
    class Inside(mn.SearchSpace):
        pass

    with pytest.raises(mn.NasError, match="Inside is defined in a notebook"):
        mn.Plan(task="digits", space=Inside)


def test_everything_public_is_there() -> None:
    for name in mn.__all__:
        assert getattr(mn, name) is not None
    assert set(mn.__all__) == set(dir(mn))
    with pytest.raises(AttributeError, match="no attribute 'serach'"):
        mn.serach  # noqa: B018


def test_importing_is_cheap() -> None:
    heavy = "{'torch', 'pandas', 'sqlalchemy', 'ray', 'optuna', 'streamlit', 'numpy'}"
    code = f"import sys, measured_nas; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
