"""Writes ``model.pte`` from ``model.py``: python write_executorch.py SIZE …, in an environment with executorch."""

import sys
from pathlib import Path

import executorch.kernels.quantized  # noqa: F401  it registers operators
import integers
import model
import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower

network = integers.use_operators(model.load(), model)
program = torch.export.export(network, (torch.zeros([int(size) for size in sys.argv[1:]]),))
edge = to_edge_transform_and_lower(integers.one_reader_each(program), partitioner=[XnnpackPartitioner()])
Path("model.pte").write_bytes(edge.to_executorch().buffer)
