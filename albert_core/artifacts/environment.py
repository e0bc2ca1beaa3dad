"""The machine and the versions of packages that a step ran with."""

import importlib.metadata
import platform
import sys
from pathlib import Path
from typing import Any

from albert_core.processes.free_memory import total_memory_bytes
from albert_core.processes.machine import num_usable_cores

# Module -> distribution, of the packages on which results and speed may depend.
_PACKAGES = {
    "apache_beam": "apache-beam",
    "jax": "jax",
    "keras": "keras",
    "numba": "numba",
    "numpy": "numpy",
    "onnxruntime": "onnxruntime",
    "scipy": "scipy",
    "sentencepiece": "sentencepiece",
    "sklearn": "scikit-learn",
    "tensorflow": "tensorflow",
    "tokenizers": "tokenizers",
}
_CPU_INFO = Path("/proc/cpuinfo")


def describe_environment() -> dict[str, Any]:
    """Return the machine and the versions of what this process has loaded, as JSON values.

    Nothing is imported, and no device is asked: a package counts if the process uses it.

    Returns:
        `processor`, its name; `num_cores` that this process may use; `memory_bytes` of the whole
        machine, None if the system does not tell; `system`, its name and architecture; `python`,
        its version; `packages`, versions by name.
    """
    return {
        "processor": _processor_name(),
        "num_cores": num_usable_cores(),
        "memory_bytes": total_memory_bytes(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": _package_versions(),
    }


def _processor_name() -> str:
    """Return the processor's name; where Linux does not tell it, the platform's."""
    if _CPU_INFO.is_file():
        for line in _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _package_versions() -> dict[str, str]:
    """Return the versions of the loaded packages among `_PACKAGES`, by distribution name.

    A package without metadata of its installation has the version "unknown".
    """
    versions = {}
    for module, name in sorted(_PACKAGES.items()):
        if module not in sys.modules:
            continue
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "unknown"
    return versions
