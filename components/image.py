"""The decorator of our components, and the image each of them runs in."""

import functools
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from kfp import dsl

from albert_core.artifacts.manifest import code_version

ImageRole = Literal["data", "trainer", "tpu"]
# What an image is made of beside the sources, in the repository.
_RECIPES = ("docker/*.Dockerfile", "docker/bin/*", "requirements/*.lock")


def component(role: ImageRole) -> Callable[[Callable], Any]:
    """Return the decorator that makes a component of a function, run in the image of a role.

    Nothing is installed at run time: the image holds the packages.
    """
    image = image_name(role)
    return functools.partial(dsl.component, base_image=image, install_kfp_package=False)


def image_name(role: ImageRole) -> str:
    """Return the image of a role: of the registry `ALBERT_REGISTRY`, with the tag `ALBERT_TAG`.

    `python` is part of the name because kfp's local runner wants it there.
    """
    registry = os.environ.get("ALBERT_REGISTRY", "local")
    return f"{registry}/albert-python-{role}:{os.environ.get('ALBERT_TAG') or image_tag()}"


@functools.cache
def image_tag() -> str:
    """Return the tag of the images: a hash of the sources and of what else images are made of.

    The same tag is always the same content, so that no cache serves what older code computed.
    """
    root = Path(__file__).parents[1]
    digest = hashlib.sha256(code_version().encode())
    for path in sorted(path for pattern in _RECIPES for path in root.glob(pattern)):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    return f"src-{digest.hexdigest()[:12]}"


def log_metrics(metrics: Any, figures: Mapping[str, Any]) -> None:
    """Show a step's key figures as its metrics, and leave them as a file.

    kfp's local cache counts a missing file as a miss, so a metrics artifact without one would
    make the step run every time.
    """
    for name, value in figures.items():
        if isinstance(value, int | float):
            metrics.log_metric(name, float(value))
    with open(metrics.path, "w", encoding="utf-8") as file:
        json.dump(figures, file)


def log_classification(metrics: Any, drawn: Mapping[str, Any] | None) -> None:
    """Show a confusion matrix and the ROC curve of two labels, and leave them as a file, too.

    Args:
        metrics: The artifact, of ClassificationMetrics.
        drawn: What `albert evaluate` wrote of a classification; None of other tasks.
    """
    if drawn:
        metrics.log_confusion_matrix(drawn["labels"], drawn["confusion_matrix"])
        if curve := drawn.get("roc_curve"):
            metrics.log_roc_curve(curve["fpr"], curve["tpr"], curve["thresholds"])
    with open(metrics.path, "w", encoding="utf-8") as file:
        json.dump(drawn or {}, file)
