from __future__ import annotations

import logging
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from nas.estimators import Epoch
from nas.estimators.checkpoint import STATE, Position, Saved, load, save


def saved(epoch: int = 1, key: str = "mine", scale: float = 1.0, *, average: bool = True) -> Saved:
    weight = torch.arange(24.0).view(2, 3, 2, 2).to(memory_format=torch.channels_last) * scale
    model = {"weight": weight, "tied": weight, "count": torch.tensor(3)}
    curve = (Epoch(0, {"accuracy": 0.1 + 0.2}),)
    return Saved(
        Position(key, epoch, 5, 0.1 + 0.7, 1.5, curve),
        model,
        {"weight": weight + 1} if average else None,
        {"optimizer": {"state": {0: {"step": torch.tensor(2.0)}}, "param_groups": [{"lr": 0.1}]}, "scaler": {}},
    )


def test_what_is_loaded_is_what_was_saved(tmp_path: Path) -> None:
    wrote = saved()
    save(tmp_path, wrote)
    found = load(tmp_path, "mine")
    assert found is not None
    assert found.position == wrote.position
    assert all(torch.equal(found.model[name], value) for name, value in wrote.model.items())
    assert found.average is not None
    assert wrote.average is not None
    assert torch.equal(found.average["weight"], wrote.average["weight"])
    assert found.optimizer == wrote.optimizer


def test_a_new_checkpoint_replaces_the_old_one(tmp_path: Path) -> None:
    save(tmp_path, saved(1))
    (tmp_path / "training-0-0.model.safetensors.partial").write_bytes(b"of a crash")
    (tmp_path / "candidate.onnx").write_bytes(b"of others")
    save(tmp_path, saved(2, average=False))
    found = load(tmp_path, "mine")
    assert found is not None
    assert found.position.epoch == 2
    assert found.average is None
    assert len(list(tmp_path.iterdir())) == 4, "state, weights, optimizer, and files of others"


@pytest.mark.parametrize("crash_at", [1, 2, 3, 4])
def test_a_crash_while_saving_leaves_the_old_one(
    crash_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, saved(1, scale=1.0))
    replaced = 0
    replace = os.replace

    def crash(source: Any, target: Any) -> None:
        nonlocal replaced
        replaced += 1
        if replaced == crash_at:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path, saved(2, scale=2.0))
    found = load(tmp_path, "mine")
    assert found is not None
    assert found.position.epoch == 1
    assert torch.equal(found.model["weight"], saved(1, scale=1.0).model["weight"])


def test_none_yet(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert load(tmp_path, "mine") is None
    assert not caplog.records


def test_another_training_is_not_continued(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path, saved(key="other"))
    with caplog.at_level(logging.WARNING):
        assert load(tmp_path, "mine") is None
    assert "another training" in caplog.text


@pytest.mark.parametrize("pattern", [STATE, "*.model.safetensors", "*.optimizer.pt", "*.average.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"torn", b"[]"])
def test_an_unreadable_one_is_not_continued(
    pattern: str, content: bytes | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path, saved())
    (path,) = tmp_path.glob(pattern)
    if content is not None:
        path.write_bytes(content)
    else:
        path.unlink()
    assert load(tmp_path, "mine") is None


class _Harm:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_nothing_in_a_checkpoint_is_executed(tmp_path: Path) -> None:
    save(tmp_path, saved())
    (path,) = tmp_path.glob("*.optimizer.pt")
    done = tmp_path / "done"
    path.write_bytes(pickle.dumps(_Harm(done), protocol=2))
    assert load(tmp_path, "mine") is None
    torch.save({"optimizer": _Harm(done)}, path)
    assert load(tmp_path, "mine") is None
    assert not done.exists()
