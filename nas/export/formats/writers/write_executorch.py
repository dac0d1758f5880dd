"""Writes ``model.pte`` from ``model.py``: python write_executorch.py SIZE …, in an environment with executorch."""

import sys
from pathlib import Path

import executorch.kernels.quantized  # noqa: F401  it registers operators
import integers
import model
import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower

tensors = model.load().state_dict().values()
network = integers.use_operators(model.load(), model)
program = torch.export.export(network, (torch.zeros([int(size) for size in sys.argv[1:]]),))
edge = to_edge_transform_and_lower(integers.one_reader_each(program), partitioner=[XnnpackPartitioner()])
made = edge.to_executorch()
# The constants of ExecuTorch's own operators and of XNNPACK; most of the file of a small network is neither.
constants = [item.storage for item in made.executorch_program.constant_buffer]
constants += made._named_data.buffers if made._named_data else []
held, in_32_bits = sum(map(len, constants)), sum(4 * tensor.numel() for tensor in tensors)
if held >= in_32_bits and {torch.int8, torch.float16} & {tensor.dtype for tensor in tensors}:
    raise ValueError(f"the weights have {held:,} bytes in the file, as many as with 32 bits ({in_32_bits:,})")
Path("model.pte").write_bytes(made.buffer)
