"""The decorator of the pipeline's components, and the image that each of them runs in."""

import functools
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from kfp import dsl

from albert_core.artifacts.manifest import code_version
from components.steps import STEPS, ImageRole

# What an image is built from beside the sources, as patterns of files in the repository.
_RECIPES = ("docker/*.Dockerfile", "docker/bin/*", "requirements/*.lock")


def component(step: str, *, image: ImageRole | None = None) -> Callable[[Callable], Any]:
    """Return the decorator that makes a kfp component of a function.

    kfp's own default would install kfp with pip whenever a task starts; here nothing is installed
    at run time, for the image holds all packages.

    Args:
        step: Name of the step in the table of steps, which has the role of its image.
        image: Role of another image, of a component that only waits for the step's work; the
            step's own when None.
    """
    role = image or STEPS[step].image
    return dsl.component(base_image=image_name(role), install_kfp_package=False)


GPU_TRAINER: Literal["trainer-gpu"] = "trainer-gpu"
"""The image of `trainer` with CUDA's libraries, for steps that get GPUs (`make images-gpu`)."""


def image_name(role: ImageRole | Literal["trainer-gpu"]) -> str:
    """Return the name of a role's image, in the registry ALBERT_REGISTRY with the tag ALBERT_TAG.

    Without ALBERT_REGISTRY the registry is `local`; without ALBERT_TAG the tag is `image_tag()`. An
    empty variable counts as not set. The name holds `python` because kfp's local runner warns about
    images without it.
    """
    registry = get_registry() or "local"
    return f"{registry}/albert-python-{role}:{os.environ.get('ALBERT_TAG') or image_tag()}"


def get_registry() -> str:
    """Return the registry that holds the images, from ALBERT_REGISTRY; empty if it is not set."""
    return os.environ.get("ALBERT_REGISTRY", "")


@functools.cache
def image_tag() -> str:
    """Return the tag of the images: `src-` and 12 hex digits of a hash of what they are built from.

    That is the version of the code, the Dockerfiles, docker/bin and the lock files.

    kfp's cache compares the names of images, not their contents. With this tag changed code has
    another name, and no cache serves what older code computed. Computed once a process: later
    changes of the files are not seen.
    """
    root = Path(__file__).parents[1]
    digest = hashlib.sha256(code_version().encode())
    for path in sorted(path for pattern in _RECIPES for path in root.glob(pattern)):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    return f"src-{digest.hexdigest()[:12]}"
