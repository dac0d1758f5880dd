"""A folder that ``timm.create_model`` loads."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import timm
import torch
from safetensors.torch import save_file
from torch import nn

from nas.errors import ExportError
from nas.export.formats import Format, Source
from nas.space.name_patterns import some

#: Folder in an exported folder.
FOLDER = "model.timm"


class Timm(Format):
    """``model.timm/config.json`` and ``model.timm/model.safetensors``: a folder in timm's own layout.

    ``timm.create_model("local-dir:exported/model.timm", pretrained=True)`` gives the network with its weights, in 32
    bits; zeros are zeros of the weights. It holds networks that timm's own function builds from arguments: those of the
    space ``timm_model``, and of the families ``convnext`` and ``vit`` of ``timm_family``. It does not hold weights of
    fewer bits, and networks from which channels were removed.
    """

    requires: ClassVar[dict[str, str]] = {"timm": "timm", "torch": "torch", "safetensors": "safetensors"}
    opener = "nas.export.formats.openers.timm"

    def check(self, source: Source) -> None:
        """See ``Format.check``.

        Raises:
            ExportError: layers have fewer bits, or timm can't build the network.
        """
        if source.fewest_bits < 32:
            raise ExportError(
                f"format 'timm': layers of this network have {source.fewest_bits} bits, and timm has only layers of 32 "
                "bits; leave this format out, or choose torch"
            )
        name, arguments = _recipe(source)
        try:
            with torch.device("meta"):
                built = timm.create_model(name, **arguments)
        except Exception as error:  # constructors raise errors of every kind
            raise ExportError(f"format 'timm': timm {timm.__version__} can't build this network: {error}") from error
        differing = _differing(_shapes(built), _shapes(source.network.model))
        if differing:
            raise ExportError(
                f"format 'timm': timm's {name} has other tensors than this network: {some(differing)}, for example "
                "because channels were removed; leave this format out, or choose torch"
            )

    def write(self, source: Source, folder: Path) -> list[Path]:
        """See ``Format.write``."""
        name, arguments = _recipe(source)
        place = folder / FOLDER
        place.mkdir()
        config = {
            "architecture": name,
            "num_classes": arguments["num_classes"],
            "model_args": {key: value for key, value in arguments.items() if key != "num_classes"},
            "pretrained_cfg": _described(source, fixed="img_size" in arguments),
        }
        (place / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
        tensors = {key: value.detach().cpu().contiguous() for key, value in source.network.model.state_dict().items()}
        save_file(tensors, place / "model.safetensors", metadata={"format": "pt"})
        return [place / "config.json", place / "model.safetensors"]


def _recipe(source: Source) -> tuple[str, dict[str, Any]]:
    """Name and arguments with which ``timm.create_model`` builds the network, as timm records them on its models."""
    model = source.network.model
    name = (getattr(model, "pretrained_cfg", None) or {}).get("architecture")
    if not name:
        raise ExportError(
            "format 'timm': timm's create_model can't build this network; allowed are the space timm_model, and the "
            "families convnext and vit of timm_family. Leave this format out, or choose torch"
        )
    return name, dict(model._model_args)  # type: ignore[arg-type]


def _shapes(model: nn.Module) -> Mapping[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _differing(wanted: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> list[str]:
    return [name for name in {**wanted, **found} if wanted.get(name) != found.get(name)]


def _described(source: Source, *, fixed: bool) -> dict[str, Any]:
    """What timm records about pretrained weights: the input, whether its size is fixed, and the normalization."""
    described: dict[str, Any] = {"input_size": list(source.artifact.input_shape[1:]), "fixed_input_size": fixed}
    return described | {key: source.preprocessing[key] for key in ("mean", "std") if key in source.preprocessing}
