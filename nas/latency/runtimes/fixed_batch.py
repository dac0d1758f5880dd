"""Fixes the batch of ONNX files, for programs that need every size to be known."""

from __future__ import annotations

from pathlib import Path

from nas.errors import MeasureError


def with_fixed_batch(path: Path, batch: int, folder: Path) -> Path:
    """Return ``path``, or a copy in ``folder`` with the given batch if the batch of an input is symbolic.

    Raises:
        MeasureError: the file is not an ONNX file, or an input has a symbolic size other than its batch.
    """
    try:
        import onnx
    except ImportError:  # on a small device: the program itself refuses files that it can't run
        return path
    try:
        model = onnx.load(str(path))
    except Exception as error:  # errors of parsing have no common base
        raise MeasureError(f"{path} is not an ONNX file: {error}") from error
    changed = False
    for item in model.graph.input:
        sizes = item.type.tensor_type.shape.dim
        for axis, size in enumerate(sizes):
            if size.HasField("dim_value"):
                continue
            if axis > 0:
                raise MeasureError(
                    f"input {item.name!r} of {path} has a symbolic size besides its batch; export it with fixed sizes"
                )
            size.dim_value, changed = batch, True
    if not changed:
        return path
    fixed = folder / path.name
    onnx.save(model, str(fixed))
    return fixed
