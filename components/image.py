"""The decorator of the pipeline's components, and the image that each of them runs in."""

import functools
import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from kfp import dsl

from albert_core.artifacts.manifest import code_version
from albert_core.errors import InputError
from components.steps import STEPS, ImageRole

# What an image is built from beside the sources, as patterns of files in the repository.
_RECIPES = ("docker/*.Dockerfile", "docker/bin/*", "requirements/*.lock")
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d+)?"
_PATH_PART = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
IMAGE_PATH = re.compile(rf"{_HOST}(?:/{_PATH_PART})*")
"""An image's name before its tag or digest, as Docker takes it: a host and a path."""
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def component(step: str, *, image: ImageRole | None = None) -> Callable[[Callable], Any]:
    """Return the decorator that makes a kfp component of a function.

    The name of the image is settled by this call, from the environment of this process, as in
    `image_name`. kfp's own default would install kfp with pip whenever a task starts; here nothing
    is installed at run time, for the image holds all packages.

    Args:
        step: Name of the step in `STEPS`, which has the role of its image; not read if `image` is
            given.
        image: Role of another image, for a component that only waits for the step's work; the
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


def check_image_variables() -> None:
    """Refuse values of ALBERT_REGISTRY and ALBERT_TAG that make no valid image name.

    What is empty or not set passes.

    Raises:
        InputError: One of them has a scheme, spaces, capital letters in a path, or the like.
    """
    registry, tag = get_registry(), os.environ.get("ALBERT_TAG", "")
    if registry and not IMAGE_PATH.fullmatch(registry):
        raise InputError(
            f"ALBERT_REGISTRY: got {registry!r}, expected host/path without https://, a slash at "
            "the end and a tag, the path in lower-case letters, for example "
            "europe-docker.pkg.dev/my-project/albert"
        )
    if tag and not _TAG.fullmatch(tag):
        raise InputError(
            f"ALBERT_TAG: got {tag!r}, expected at most 128 letters, digits, dots, dashes and "
            "underscores, of which neither dot nor dash is the first"
        )


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
