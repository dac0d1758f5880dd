"""Networks of the user beside a study that was really trained; jobs run in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_model
from sqlalchemy import func, select

from nas.errors import JobError, NasError, PlanError, SpaceError, StudyError, UnavailableError, UnknownNameError
from nas.latency.protocol.canary import Health
from tests.unit.trials.in_process import InProcess
from trials.analysis.listing import Listing
from trials.cli.views import candidate_rows, print_imported
from trials.executors import Event
from trials.jobs.messages import MEASURE_FILE
from trials.launch import importing
from trials.launch.importing import import_network
from trials.launch.retention import delete
from trials.reporting.charts.front import front_figure
from trials.reporting.report.page import render
from trials.reporting.report.tables import imported_table
from trials.reporting.study import study_view
from trials.store.models import Candidate, ImportedMeasurement, Metric
from trials.store.read.imported import imported_networks
from trials.store.read.studies import study_token
from trials.store.store import Store
from trials.targets.stored import remove

HERE = "tests.unit.trials.launch.imported_networks"


@pytest.fixture(autouse=True)
def workers(monkeypatch: pytest.MonkeyPatch) -> InProcess:
    found = InProcess()

    @contextmanager
    def opened(*arguments: Any) -> Iterator[InProcess]:
        yield found

    monkeypatch.setattr(importing, "open_executor", opened)
    return found


def nearest_mean(path: Path, *, batch: int | str = "n", channels: int = 1, classes: int = 10) -> Path:
    """An ONNX file with one linear layer over the pixels of 8×8 images."""
    weight = np.random.default_rng(0).normal(size=(channels * 64, classes)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["image"], ["flat"]),
            helper.make_node("Gemm", ["flat", "weight", "bias"], ["answers"], name="layer"),
        ],
        "own",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, channels, 8, "width"])],
        [helper.make_tensor_value_info("answers", TensorProto.FLOAT, [batch, classes])],
        [
            numpy_helper.from_array(weight, "weight"),
            numpy_helper.from_array(np.zeros(classes, dtype=np.float32), "bias"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))
    return path


def count(store: Store, model: Any) -> int:
    with store.transaction() as connection:
        return int(connection.execute(select(func.count()).select_from(model)).scalar_one())


def files(store: Store) -> list[Path]:
    return sorted(path for path in store.folder.rglob("*") if path.suffix == ".onnx" and "imported" in str(path))


def test_an_onnx_file_is_scored_and_measured_and_is_no_trial(store: Store, tmp_path: Path, workers: InProcess) -> None:
    trials, metrics, token = count(store, Candidate), count(store, Metric), study_token(store, "study")
    found = import_network(store, "study", str(nearest_mean(tmp_path / "my net.onnx")))
    assert found.name == "my-net"
    assert (found.metrics["parameters"].value, found.metrics["macs"].value) == (650, 640)
    assert found.metrics["latency_ms"].low is not None
    assert 0 < found.metrics["latency_ms"].low <= found.metrics["latency_ms"].value
    for scores in (found.metrics, found.test_scores):
        assert 0 <= scores["accuracy"].value < 0.5
    assert found.notes == ()
    assert (count(store, Candidate), count(store, Metric)) == (trials, metrics)
    assert count(store, ImportedMeasurement) == 1
    assert study_token(store, "study") != token, "the dashboard shows it"
    with study_view(store, "study") as study:
        assert len(candidate_rows(study, Listing(), 50)) == trials
        assert study.better_than(found) is not None
        assert "my-net" in render(study)
        figure = front_figure(study.points, {}, shares=study.shares, imported=study.imported)
        assert [trace.text for trace in figure.data if trace.name == "imported"] == [("my-net",)]


def test_a_target_with_an_imported_network_is_kept(store: Store, tmp_path: Path) -> None:
    import_network(store, "study", str(nearest_mean(tmp_path / "own.onnx")))
    with store.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM measurements")
    with pytest.raises(StudyError, match="target 'local' has 1 measurements"):
        remove(store, "local")


def test_a_module_with_weights_is_scored_and_one_without_is_not(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.unit.trials.launch.imported_networks import Small

    save_model(Small(), str(tmp_path / "weights.safetensors"))
    with_weights = import_network(
        store, "study", f"{HERE}:Small", name="mine", weights=str(tmp_path / "weights.safetensors")
    )
    assert {"accuracy", "latency_ms"} <= set(with_weights.metrics)
    random = import_network(store, "study", f"{HERE}:Small")
    assert "accuracy" not in random.metrics
    assert random.test_scores == {}
    assert random.notes[0].startswith("not scored: its weights are random")
    assert random.metrics["parameters"] == with_weights.metrics["parameters"]
    own = import_network(store, "study", f"{HERE}:with_its_own_weights")
    assert "accuracy" in own.metrics
    with study_view(store, "study") as study:
        assert study.better_than(random) is None
        table = imported_table(study)
        assert table is not None
        assert [row[0].text for row in table.rows] == ["mine", "Small", "with_its_own_weights"]
        print_imported(study, study.imported)
    assert "with_its_own_weights" in capsys.readouterr().out


def test_a_file_for_other_classes_is_measured_only(store: Store, tmp_path: Path) -> None:
    found = import_network(store, "study", str(nearest_mean(tmp_path / "seven.onnx", batch=1, classes=7)))
    assert found.notes == ("not scored: the file returns (1, 7) for one input, the task needs (1, 10)",)
    assert "accuracy" not in found.metrics
    assert "latency_ms" in found.metrics


def broken(path: Path, change: str) -> Path:
    if change == "no onnx":
        path.write_text("hello")
    elif change == "cut":
        path.write_bytes(nearest_mean(path).read_bytes()[:400])
    elif change == "external":
        onnx.save(onnx.load(str(nearest_mean(path))), str(path), save_as_external_data=True, size_threshold=0)
    else:
        nearest_mean(path, **{"channels": {"channels": 3}, "batch": {"batch": 4}}[change])  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("no onnx", "is not an ONNX file"),
        ("cut", "is not a.* ONNX file"),
        ("external", "has its weights in other files"),
        ("channels", r"takes float \(any, 3, 8, any\), but the study's networks take float \(1, 1, 8, 8\)"),
        ("batch", r"takes float \(4, 1, 8, any\), but"),
    ],
)
def test_a_file_that_can_not_be_compared_is_refused(store: Store, tmp_path: Path, change: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        import_network(store, "study", str(broken(tmp_path / "own.onnx", change)))
    assert imported_networks(store, "study") == ()


@pytest.mark.parametrize(
    ("model", "kind", "message"),
    [
        ("missing.onnx", PlanError, "there is no file 'missing.onnx'; give an ONNX file, module:factory, or timm:name"),
        ("timm:resnet10", PlanError, "has no model 'resnet10'; did you mean 'resnet10t'"),
        ("nobody_has_this:make", UnknownNameError, "no module 'nobody_has_this'"),
        (f"{HERE}:Smal", UnknownNameError, "did you mean 'Small'"),
        (f"{HERE}:broken", SpaceError, "ValueError: no network today"),
    ],
)
def test_a_network_that_can_not_be_made_is_refused(store: Store, model: str, kind: type, message: str) -> None:
    with pytest.raises(kind, match=message):
        import_network(store, "study", model)
    assert imported_networks(store, "study") == ()


def test_a_name_is_taken_until_it_is_replaced(store: Store, tmp_path: Path) -> None:
    import_network(store, "study", str(nearest_mean(tmp_path / "own.onnx")))
    other = nearest_mean(tmp_path / "other.onnx", classes=7)
    with pytest.raises(StudyError, match="study 'study' has an imported network 'own'; give another --name, or"):
        import_network(store, "study", str(other), name="own")
    found = import_network(store, "study", str(other), name="own", force=True)
    (only,) = imported_networks(store, "study")
    assert only == found
    assert "accuracy" not in only.metrics
    assert [str(path) for path in files(store)] == [only.uri]
    delete(store, "study")
    assert files(store) == []


def test_of_two_imports_of_one_file_the_second_leaves_the_file_of_the_first(store: Store, tmp_path: Path) -> None:
    model = str(nearest_mean(tmp_path / "own.onnx"))

    def another_is_first(said: str) -> None:
        if said.startswith("measuring"):
            import_network(store, "study", model)

    with pytest.raises(StudyError, match="own"):
        import_network(store, "study", model, says=another_is_first)
    (stored,) = imported_networks(store, "study")
    assert [str(path) for path in files(store)] == [stored.uri]


def test_after_a_failed_measurement_nothing_is_stored(
    store: Store, tmp_path: Path, workers: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    poll = workers.poll

    def failing(timeout_s: float) -> list[Event]:
        if workers._jobs and workers._jobs[0].function == MEASURE_FILE.name:
            return [Event(workers._jobs.popleft().key, "error", {}, "the device burns", "…")]
        return poll(timeout_s)

    monkeypatch.setattr(workers, "poll", failing)
    with pytest.raises(JobError, match="measuring on target 'local' failed: the device burns"):
        import_network(store, "study", str(nearest_mean(tmp_path / "own.onnx")))
    assert imported_networks(store, "study") == ()
    assert files(store) == []


def test_on_a_target_that_has_drifted_nothing_is_measured(
    store: Store, tmp_path: Path, workers: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.transaction() as connection:
        plan = "json_set(plan, '$.measure.canary_every', 20)"
        connection.exec_driver_sql(f"UPDATE studies SET plan = {plan}")
    slow = Health(rung="small", drift=0.5, throttled=0.0, warnings=(), state={})
    monkeypatch.setattr(importing, "run_canary", lambda *arguments: slow)
    with pytest.raises(UnavailableError, match=r"it is 50% slower than when it was calibrated.*nothing is stored"):
        import_network(store, "study", str(nearest_mean(tmp_path / "own.onnx")))
    assert sum(job.function == MEASURE_FILE.name for job in workers.ran) == importing.ATTEMPTS
    assert files(store) == []


def test_names_and_weights_that_do_not_fit_are_refused(store: Store, tmp_path: Path) -> None:
    path = str(nearest_mean(tmp_path / "own.onnx"))
    with pytest.raises(StudyError, match="a network's name consists of letters"):
        import_network(store, "study", path, name="a/b")
    with pytest.raises(PlanError, match="has its own weights"):
        import_network(store, "study", path, weights=path)
    with pytest.raises(NasError, match="no study 'other'"):
        import_network(store, "other", path)
