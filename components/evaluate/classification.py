"""Read what an evaluation says of classes, where there is no library that scores."""

import json
from typing import Any

from albert_core.storage import exists, join, read_bytes
from albert_core.tasks.metrics import CLASSIFICATION_NAME


def read_classification(evaluation: str) -> dict[str, Any] | None:
    """Return an evaluation's counts of classes, labels or types of entities; None without any.

    Args:
        evaluation: Address of the evaluation's folder, local, gs:// or s3://.

    Returns:
        The content of its classification.json: `labels` and `classes`; for a classification also
        `confusion_matrix` and, with two labels, `roc_curve`. None if there is no such file, as for
        other kinds of tasks.

    Raises:
        InputError: The file cannot be read.
        ValueError: It is no JSON.
        ServiceError: The storage failed.
    """
    path = join(evaluation, CLASSIFICATION_NAME)
    return json.loads(read_bytes(path)) if exists(path) else None
