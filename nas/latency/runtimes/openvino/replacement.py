"""Replaces layers of an OpenVINO graph by operations of the native kernels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from nas.latency.runtimes.openvino.graph_pass import Match, Setting, matches, only_reader
from nas.latency.runtimes.openvino.quiet import openvino

#: Number of inputs of a sparse operation without input scales.
_UNSCALED = 5
#: Attributes of a sparse operation that a depthwise operation takes over when it computes it as its expansion.
_SETTINGS = ("rows", "width", "activation", "instruction_set")
#: Order of dimensions that transposes an image from channels last to channels first.
_CHANNELS_FIRST = [0, 3, 1, 2]


def replace(model: openvino.Model, settings: Mapping[str, Setting], library: Path) -> None:
    """Replace the layers in ``settings`` by operations of the library; outputs keep their names.

    Operations also take over cheap neighbours that would read or write a whole image: a sparse operation the scales of
    its input; a depthwise operation the sparse layer before it, if nothing else reads that layer, and the means of its
    output. Operations that compute vectors of channels use images with channels last where OpenVINO does.

    Args:
        model: a prepared graph; it is changed in place.
        settings: layer name → setting of its kernel.
        library: the library's file.
    """
    factory = openvino.utils.node_factory.NodeFactory()
    factory.add_extension(library)
    placement = _Placement(factory, settings)
    for match in list(matches(model)):
        if match.layer.name in settings:
            placement.place(match)


@dataclass(frozen=True)
class _Placement:
    factory: openvino.utils.node_factory.NodeFactory
    settings: Mapping[str, Setting]
    #: Names of the sparse convolutions that were replaced so far.
    sparse: set[str] = field(default_factory=set)

    def place(self, match: Match) -> None:
        if match.layer.kind == "sparse":
            self._place_sparse(match)
            if not match.layer.channels_last:
                self.sparse.add(match.layer.name)
        else:
            self._place_depthwise(match)

    def _place_sparse(self, match: Match) -> None:
        x, scales = _scaled(match)
        node = self._create("SparseConvolution", match, [x, *self._constants(match), *scales], {})
        _read_instead(match.result, node.output(0))

    def _place_depthwise(self, match: Match) -> None:
        expansion, stored = self._expansion(match), _stored_last(match.node.input_value(0))
        means = [node for node in _readers(match.result) if _is_mean(node)]
        by_channels = self.settings[match.layer.name].method != "pixels"
        x, expanding, attributes = match.node.input_value(0), [], {"means": bool(means)}
        if expansion is not None:
            x, *expanding = expansion.input_values()
            own = expansion.get_attributes()
            attributes |= {f"expansion_{name}": own[name] for name in _SETTINGS}
        elif by_channels and stored is not None:
            x, attributes["reads_last"] = stored, True
        end, scales = _rescaled(match)
        attributes["writes_last"] = by_channels and self._is_for_openvino(end)
        node = self._create("DepthwiseConvolution", match, [x, *self._constants(match), *expanding], attributes)
        for mean in means:
            _read_instead(mean.output(0), node.output(1))
        if attributes["writes_last"]:
            _read_instead(end, _channels_first(node.output(0), scales))
        else:
            _read_instead(match.result, node.output(0))

    def _is_for_openvino(self, image: openvino.Output) -> bool:
        """Whether only convolutions that OpenVINO computes, with channels last, read an image; means don't count."""
        return all(
            node.get_type_name() in ("Convolution", "GroupConvolution")
            and node.get_friendly_name() not in self.settings
            for node in _readers(image)
            if not _is_mean(node)
        )

    def _create(
        self, kind: str, match: Match, inputs: list[openvino.Output], attributes: dict[str, Any]
    ) -> openvino.Node:
        layer = match.layer
        own = layer.attributes(self.settings[layer.name])
        node = self.factory.create(kind, inputs, {**own, **attributes})
        node.set_friendly_name(layer.name)
        return node

    def _constants(self, match: Match) -> list[openvino.Output]:
        arrays = match.layer.constants(self.settings[match.layer.name])
        return [openvino.op.Constant(np.ascontiguousarray(array)).output(0) for array in arrays]

    def _expansion(self, match: Match) -> openvino.Node | None:
        """The sparse operation that computes this layer's input, if nothing else reads that input; else None."""
        x = match.node.input_value(0)
        operation = x.get_node()
        is_sparse = operation.get_friendly_name() in self.sparse and operation.get_input_size() == _UNSCALED
        return operation if is_sparse and only_reader(x) is not None else None


def _read_instead(old: openvino.Output, new: openvino.Output) -> None:
    names = old.get_names()
    for reader in old.get_target_inputs():
        reader.replace_source_output(new)
    new.set_names(names)


def _readers(output: openvino.Output) -> list[openvino.Node]:
    return [reader.get_node() for reader in output.get_target_inputs()]


def _scaled(match: Match) -> tuple[openvino.Output, list[openvino.Output]]:
    """The input of a sparse layer and no scales; if it is an image times a scale per channel, image and scales."""
    x, shape = match.node.input_value(0), match.layer.input_shape
    product = x.get_node()
    is_image = len(shape) == 4 and not match.layer.channels_last
    if is_image and product.get_type_name() == "Multiply" and only_reader(x) is not None:
        image, scales = sorted(product.input_values(), key=lambda end: -prod(end.get_shape()))
        if tuple(image.get_shape()) == shape and _are_scales(scales, shape):
            return image, [scales]
    return x, []


def _rescaled(match: Match) -> tuple[openvino.Output, openvino.Output | None]:
    """A layer's output and None; if only a product with a scale per channel (and means) read it, product and scales."""
    readers = [reader for reader in match.result.get_target_inputs() if not _is_mean(reader.get_node())]
    if len(readers) == 1 and readers[0].get_node().get_type_name() == "Multiply":
        scales = readers[0].get_node().input_value(1 - readers[0].get_index())
        if _are_scales(scales, match.layer.output_shape):
            return readers[0].get_node().output(0), scales
    return match.result, None


def _are_scales(end: openvino.Output, shape: tuple[int, ...]) -> bool:
    """Whether a value has one number for each channel of images of that shape."""
    return bool(end.get_partial_shape() == openvino.PartialShape([*shape[:2], 1, 1]))


def _stored_last(image: openvino.Output) -> openvino.Output | None:
    """The image with channels last that ``image`` is a transposition of; None if it is not one."""
    node = image.get_node()
    is_one = node.get_type_name() == "Transpose" and node.input_value(1).get_node().get_type_name() == "Constant"
    return node.input_value(0) if is_one and [*node.input_value(1).get_node().data] == _CHANNELS_FIRST else None


def _channels_first(image: openvino.Output, scales: openvino.Output | None) -> openvino.Output:
    """Transpose an image with channels last, after scaling its channels; OpenVINO's convolutions skip the transpose."""
    ops = openvino.opset13
    if scales is not None:
        images, channels = scales.get_shape()[:2]
        image = ops.multiply(image, ops.reshape(scales, np.array([images, 1, 1, channels]), False)).output(0)
    return ops.transpose(image, np.array(_CHANNELS_FIRST)).output(0)


def _is_mean(node: openvino.Node) -> bool:
    """Whether a node computes the mean of every channel of an image, as an image of one pixel."""
    if node.get_type_name() != "ReduceMean" or not node.get_attributes()["keep_dims"]:
        return False
    axes = node.input_value(1).get_node()
    return axes.get_type_name() == "Constant" and {axis % 4 for axis in np.ravel(axes.data).tolist()} == {2, 3}
