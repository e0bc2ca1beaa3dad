"""Read what an evaluation says of classes, where there is no library that scores."""

import json
from typing import Any

from albert_core.storage import exists, join, read_bytes
from albert_core.tasks.metrics import CLASSIFICATION_NAME


def read_classification(evaluation: str) -> dict[str, Any] | None:
    """Return confusion matrix and ROC curve of an evaluation, local, gs:// or s3://.

    None if there are none, as for a task that is no classification.

    Returns:
        What `describe_classification` returned.
    """
    path = join(evaluation, CLASSIFICATION_NAME)
    return json.loads(read_bytes(path)) if exists(path) else None
