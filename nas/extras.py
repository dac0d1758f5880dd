"""Optional packages: how one that is not installed says what installs it."""

from __future__ import annotations

import importlib.util

from nas.errors import MissingPackageError

#: Package as it is imported → what pip installs for it, where that is not the package itself.
_INSTALLED_WITH = {
    "cmake": "measured-nas[kernels]",
    "onnxscript": "measured-nas[torch-export]",
    "openvino": "measured-nas[openvino]",
    "psycopg": "measured-nas[postgresql]",
    "psycopg2": "psycopg2-binary",
    "ray": "measured-nas[ray]",
    "streamlit": "measured-nas[dashboard]",
}


def is_installed(package: str) -> bool:
    """Whether a top-level package can be imported; it is not imported. A mere folder of that name does not count."""
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None


def require(package: str, user: str) -> None:
    """Check that a package is installed, for what imports it later.

    Args:
        package: as it is imported.
        user: what needs it, as the message begins.

    Raises:
        MissingPackageError: it is not installed.
    """
    if not is_installed(package):
        raise missing(package, user)


def missing(package: str, user: str, reason: str = "is not installed") -> MissingPackageError:
    """The error of a package that ``user`` needs and that ``reason``."""
    return MissingPackageError(f"{user} needs the package {package!r}, which {reason}; {pip_install(package)}")


def pip_install(package: str) -> str:
    """The command that installs a package, given as it is imported; on a device with the agent alone, without us."""
    top = package.partition(".")[0]
    wanted = _INSTALLED_WITH.get(top, package)
    if "[" not in wanted:
        return f"pip install {wanted}"
    return f"pip install '{wanted}'" if is_installed("measured_nas") else f"pip install {top}"
