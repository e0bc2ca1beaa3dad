"""The decorator of our components, and the image each of them runs in."""

import functools
import json
import os
from collections.abc import Callable, Mapping
from typing import Any, Literal

from kfp import dsl

from albert_core.runs.manifest import code_version

ImageRole = Literal["data", "trainer", "tpu"]


def component(role: ImageRole) -> Callable[[Callable], Any]:
    """Return the decorator that makes a component of a function, run in the image of a role.

    Nothing is installed at run time: the image holds the packages.
    """
    image = image_name(role)
    return functools.partial(dsl.component, base_image=image, install_kfp_package=False)


def image_name(role: ImageRole) -> str:
    """Return the image of a role: of the registry `ALBERT_REGISTRY`, with the tag `ALBERT_TAG`.

    The tag is a hash of the sources, so that no cache serves what older code computed. `python`
    is part of the name because kfp's local runner wants it there.
    """
    registry = os.environ.get("ALBERT_REGISTRY", "local")
    tag = os.environ.get("ALBERT_TAG") or f"src-{code_version()}"
    return f"{registry}/albert-python-{role}:{tag}"


def log_figures(metrics: Any, figures: Mapping[str, Any]) -> None:
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
