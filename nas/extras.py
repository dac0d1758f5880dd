"""Optional packages: whether they are installed, and the commands that install them."""

from __future__ import annotations

import importlib.util

from nas.errors import MissingPackageError

#: Import name of a package → the name to install with pip, if it is another one.
_INSTALLED_WITH = {
    "ai_edge_litert": "ai-edge-litert",
    "cmake": "measured-nas[kernels]",
    "opentelemetry": "measured-nas[traces]",
    "onnxscript": "measured-nas[onnx-dynamo]",
    "openvino": "measured-nas[openvino]",
    "prometheus_client": "measured-nas[metrics]",
    "psycopg": "measured-nas[postgresql]",
    "psycopg2": "psycopg2-binary",
    "ray": "measured-nas[ray]",
    "streamlit": "measured-nas[dashboard]",
}


def is_installed(package: str) -> bool:
    """Whether a package can be imported, without importing it; a folder without code does not count.

    Packages above it, ``a`` and ``a.b`` of ``a.b.c``, are imported.
    """
    try:
        spec = importlib.util.find_spec(package)
    except ModuleNotFoundError:
        return False
    return spec is not None and spec.origin is not None


def require(package: str, user: str) -> None:
    """Check that a package is installed, before code that imports it later.

    Args:
        package: import name of the package.
        user: the feature that needs the package, which is the beginning of the message.

    Raises:
        MissingPackageError: the package is not installed.
    """
    if not is_installed(package):
        raise missing(package, user)


def missing(package: str, user: str, reason: str = "is not installed") -> MissingPackageError:
    """The error for a package that ``user`` needs; ``reason`` completes the clause "which …" of its message."""
    return MissingPackageError(f"{user} needs the package {package!r}, which {reason}; {pip_install(package)}")


def pip_install(package: str) -> str:
    """The command that installs a package, given its import name.

    On a device that has only the agent, the command installs the package itself, without this project.
    """
    top = package.partition(".")[0]
    wanted = _INSTALLED_WITH.get(top, package)
    if "[" not in wanted:
        return f"pip install {wanted}"
    return f"pip install '{wanted}'" if is_installed("measured_nas") else f"pip install {top}"
