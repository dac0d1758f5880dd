"""Translations of ONNX nodes to torch functions, one file for each group of nodes, and a table of all.

The table covers what our ops emit and what other tools write for networks of fixed shape; opset 13 and newer. A node
that is not in it is replaced by the nodes that ONNX itself defines it by, if there are such.
"""

from nas.latency.runtimes.torch.nodes.activations import ACTIVATIONS
from nas.latency.runtimes.torch.nodes.arithmetic import ARITHMETIC
from nas.latency.runtimes.torch.nodes.constants import CONSTANTS
from nas.latency.runtimes.torch.nodes.indexing import INDEXING
from nas.latency.runtimes.torch.nodes.normalization import NORMALIZATION
from nas.latency.runtimes.torch.nodes.products import PRODUCTS
from nas.latency.runtimes.torch.nodes.reductions import REDUCTIONS
from nas.latency.runtimes.torch.nodes.resampling import RESAMPLING
from nas.latency.runtimes.torch.nodes.shaping import SHAPING
from nas.latency.runtimes.torch.nodes.translation import Translation
from nas.latency.runtimes.torch.nodes.windows import WINDOWS

TRANSLATIONS: dict[str, Translation] = {
    **ACTIVATIONS,
    **ARITHMETIC,
    **CONSTANTS,
    **INDEXING,
    **NORMALIZATION,
    **PRODUCTS,
    **REDUCTIONS,
    **RESAMPLING,
    **SHAPING,
    **WINDOWS,
}
