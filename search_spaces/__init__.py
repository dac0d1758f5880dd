"""Search spaces, most of them published, one per file."""

from nas.registry import Registry
from nas.space.search_space import SearchSpace

#: Tells this package from others of the same name, see measured_nas/packages.py.
__distribution__ = "measured-nas"

SPACES: Registry[type[SearchSpace]] = Registry(
    "spaces",
    {
        "large_kernel": "search_spaces.large_kernel:LargeKernel",
        "module": "search_spaces.module:Module",
        "plain_convnet": "search_spaces.plain_convnet:PlainConvNet",
        "sparse_convnet": "search_spaces.sparse_convnet:SparseConvNet",
        "timm_family": "search_spaces.timm_family:TimmFamily",
        "timm_model": "search_spaces.timm_model:TimmModel",
    },
    subclasses_of=SearchSpace,
)
