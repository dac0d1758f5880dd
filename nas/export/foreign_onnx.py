"""Take an ONNX file of any origin: check it, and fix the sizes of its input. Only ONNX Runtime runs it."""

from __future__ import annotations

from pathlib import Path

import onnx

from nas.errors import PlanError


def foreign_model(path: Path, input_shape: tuple[int, ...]) -> onnx.ModelProto:
    """Read a file with one input, whose symbolic sizes become those of ``input_shape``.

    Args:
        path: the file.
        input_shape: ``(N, C, H, W)``.

    Raises:
        PlanError: it is not an ONNX file, has its weights in other files, or does not take one float32 input of this
            shape.
    """
    model = _read(path)
    graph = model.graph
    stored = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in stored]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise PlanError(
            f"{path} has {len(inputs)} inputs and {len(graph.output)} outputs; give a network that has one of each"
        )
    _fix(inputs[0], input_shape, path)
    _forget_shapes(graph)
    return model


def _read(path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(str(path), load_external_data=False)
        if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
            raise PlanError(
                f"{path} has its weights in other files; write one file: onnx.save(onnx.load(FILE), ONE_FILE)"
            )
        onnx.checker.check_model(model)
    except PlanError:
        raise
    except onnx.checker.ValidationError as error:
        raise PlanError(f"{path} is not a valid ONNX file: {str(error).splitlines()[0]}; export it again") from None
    except Exception as error:  # protobuf's decoder, which has no types
        raise PlanError(f"{path} is not an ONNX file ({type(error).__name__}); export the network to ONNX") from None
    return model


def _fix(value: onnx.ValueInfoProto, input_shape: tuple[int, ...], path: Path) -> None:
    """Give the symbolic sizes of the input their numbers."""
    kind = value.type.tensor_type
    sizes = [item.dim_value if item.HasField("dim_value") else None for item in kind.shape.dim]
    fits = len(sizes) == len(input_shape) and all(
        size in (None, wanted) for size, wanted in zip(sizes, input_shape, strict=True)
    )
    if kind.elem_type != onnx.TensorProto.FLOAT or not fits:
        shown = onnx.TensorProto.DataType.Name(kind.elem_type).lower()
        given = ", ".join("any" if size is None else str(size) for size in sizes)
        raise PlanError(
            f"{path} takes {shown} ({given}), but the study's networks take float "
            f"({', '.join(map(str, input_shape))}): batch, channels, height, width; export it for this input"
        )
    for item, size in zip(kind.shape.dim, input_shape, strict=True):
        item.dim_value = size


def _forget_shapes(graph: onnx.GraphProto) -> None:
    """Remove the recorded shapes of other values, which may be those of other input sizes."""
    del graph.value_info[:]
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")
