from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file, save_model
from torch import nn

from nas.errors import PlanError
from nas.space.start import Start


def network(width: int = 4, classes: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.Flatten(), nn.Linear(width, classes))


def stored(model: nn.Module, path: Path) -> str:
    save_model(model, str(path))
    return str(path)


def test_weights_are_those_of_the_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source, model = network(), network()
    Start.of(stored(source, tmp_path / "w.safetensors"), strict=True).apply(model)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in source.state_dict().items())


def test_what_fits_is_taken_and_the_rest_is_stated(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(0)
    source, model = network(classes=10), network()
    before = model[3].weight.clone()
    start = Start.of(stored(source, tmp_path / "ten_classes.safetensors"))
    with caplog.at_level(logging.WARNING):
        start.apply(model)
        assert not caplog.messages, "workers fill missing tensors silently; the check of the plan reports them"
        with torch.device("meta"):
            checked = [network(), network()]
        for item in checked:
            start.apply(item)
    assert torch.equal(model[0].weight, source[0].weight)
    assert torch.equal(model[3].weight, before)
    (message,) = caplog.messages
    assert "7 of 9" in message
    assert "3.weight ([10, 4] instead of [3, 4])" in message
    strict = Start.of(str(tmp_path / "ten_classes.safetensors"), strict=True)
    with pytest.raises(PlanError, match=r"3\.weight .*strict: false"):
        strict.apply(network())


def test_weights_of_another_architecture_are_refused_before_there_is_a_network(tmp_path: Path) -> None:
    path = stored(nn.Sequential(nn.Linear(7, 4), nn.BatchNorm1d(4)), tmp_path / "other.safetensors")
    with torch.device("meta"):
        model = network()
    # The norm has the network's width, but so do many others.
    with pytest.raises(PlanError, match="same architecture"):
        Start.of(path).apply(model)


def test_weights_of_another_width_are_refused_by_their_shapes(tmp_path: Path) -> None:
    start = Start.of(stored(network(width=7), tmp_path / "wide.safetensors"))
    with pytest.raises(PlanError, match=r"0\.bias \(\[7\] instead of \[4\]\), 0\.weight \(\[7, 1, 3, 3\] instead of"):
        start.apply(network())


def test_a_tensor_that_modules_share_is_in_the_file_once(tmp_path: Path) -> None:
    def tied() -> nn.Sequential:
        model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
        model[1].weight = model[0].weight
        return model

    source, model = tied(), tied()
    Start.of(stored(source, tmp_path / "tied.safetensors"), strict=True).apply(model)
    assert torch.equal(model[1].weight, source[0].weight)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="no file"):
        Start.of(str(tmp_path / "missing.safetensors"))
    (tmp_path / "pickle.pt").write_bytes(b"\x80\x02}q\x00.")
    torch.save(network().state_dict(), tmp_path / "zip.pt")
    for name in ("pickle.pt", "zip.pt"):
        with pytest.raises(PlanError, match=r"not a safetensors file.*weights_only=True.*save_file") as caught:
            Start.of(str(tmp_path / name))
        assert "header" not in str(caught.value)
    with pytest.raises(PlanError, match="can't be read"):
        Start.of(str(tmp_path))


def test_what_is_frozen_does_not_train() -> None:
    model = network()
    Start.of(None, freeze=["0.*", "1.weight"]).apply(model)
    assert {name for name, parameter in model.named_parameters() if not parameter.requires_grad} == {
        *("0.weight", "0.bias", "1.weight")
    }


def test_patterns_that_match_nothing_or_everything_are_refused() -> None:
    with pytest.raises(PlanError, match="'conv' matches none of 0"):
        Start.of(None, freeze=["conv"]).apply(network())
    with pytest.raises(PlanError, match="every parameter"):
        Start.of(None, freeze=["*"]).apply(network())
    with pytest.raises(PlanError, match="list of name patterns"):
        Start.of(None, freeze="layer1")


def test_identity_is_content_not_place(tmp_path: Path) -> None:
    tensors = {"0.weight": torch.ones(4, 1, 3, 3)}
    for name in ("a", "b"):
        save_file(tensors, tmp_path / name)
    save_file({"0.weight": torch.zeros(4, 1, 3, 3)}, tmp_path / "c")
    first, same, other = (Start.of(str(tmp_path / name)).identity() for name in ("a", "b", "c"))
    assert first == same != other
    assert Start.of(None).identity() == {}
    assert Start.of(None, freeze=["b", "a"]).identity() == Start.of(None, freeze=["a", "b"]).identity() != {}
