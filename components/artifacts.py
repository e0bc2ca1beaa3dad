"""kfp's artifacts: their addresses, and the metrics shown on a platform's pages."""

import json
from collections.abc import Mapping
from typing import Any

_MOUNTS = ("/gcs/", "/s3/")


def artifact_address(artifact: Any) -> str:
    """Return the address of an artifact's folder.

    That of an artifact in a bucket is its gs:// or s3:// address, and steps read and write it
    there: on Vertex AI its path is below a mount that knows neither renames of folders nor hard
    links, and later runs find it by the address only. That of any other is its local path, from and
    to which the platform copies.
    """
    return artifact.uri if artifact.path.startswith(_MOUNTS) else artifact.path


def log_metrics(artifact: Any, metrics: Mapping[str, Any]) -> None:
    """Add the numbers among a step's metrics to a Metrics artifact, and write all to its file.

    Values that are no numbers are in the file only; True and False count as 1 and 0. The file is
    for kfp's local cache alone: it takes an artifact without one for a miss, and would run the
    step every time. A file already there is replaced.

    Args:
        artifact: A `dsl.Metrics`; gets the numbers as metadata.
        metrics: JSON values by name.
    """
    for name, value in metrics.items():
        if isinstance(value, int | float):
            artifact.log_metric(name, float(value))
    with open(artifact.path, "w", encoding="utf-8") as file:
        json.dump(metrics, file)


def log_classification(artifact: Any, results: Mapping[str, Any] | None) -> None:
    """Add confusion matrix and, with two labels, ROC curve to a ClassificationMetrics artifact.

    Only those that there are: labels of which any number may apply have neither. All results are
    written to the artifact's file, too, for kfp's cache as in `log_metrics`.

    Args:
        artifact: A `dsl.ClassificationMetrics`; gets matrix and curve as metadata.
        results: What `components.evaluate.classification.read_classification` returns. None, for
            tasks without labels, adds nothing and writes an empty JSON object to the file.
    """
    results = results or {}
    if matrix := results.get("confusion_matrix"):
        artifact.log_confusion_matrix(results["labels"], matrix)
    if curve := results.get("roc_curve"):
        artifact.log_roc_curve(curve["fpr"], curve["tpr"], curve["thresholds"])
    with open(artifact.path, "w", encoding="utf-8") as file:
        json.dump(results, file)
