"""ONNX files for programs that want every size known."""

from __future__ import annotations

from pathlib import Path

from nas.errors import MeasureError


def with_fixed_batch(path: Path, batch: int, folder: Path) -> Path:
    """``path`` itself, or where an input's batch is symbolic, a copy in ``folder`` that has ``batch`` there.

    Raises:
        MeasureError: no ONNX file, or another size than an input's first is symbolic.
    """
    try:
        import onnx
    except ImportError:  # on a small device: the program itself says what it can't run
        return path
    try:
        model = onnx.load(str(path))
    except Exception as error:  # of parsing
        raise MeasureError(f"{path} is no ONNX file: {error}") from error
    changed = False
    for item in model.graph.input:
        sizes = item.type.tensor_type.shape.dim
        for axis, size in enumerate(sizes):
            if size.HasField("dim_value"):
                continue
            if axis > 0:
                raise MeasureError(
                    f"input {item.name!r} of {path} has a symbolic size beside its batch; export it with fixed sizes"
                )
            size.dim_value, changed = batch, True
    if not changed:
        return path
    fixed = folder / path.name
    onnx.save(model, str(fixed))
    return fixed
