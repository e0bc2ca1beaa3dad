"""Tasks as declarations: files, columns, labels, metrics; and how they are read and scored."""

from albert_core.tasks.data import Example, read_examples, task_fingerprint
from albert_core.tasks.glue import GLUE_TASKS, find_task
from albert_core.tasks.metrics import compute_metrics, constant_prediction_score
from albert_core.tasks.task import Task

__all__ = [
    "GLUE_TASKS",
    "Example",
    "Task",
    "compute_metrics",
    "constant_prediction_score",
    "find_task",
    "read_examples",
    "task_fingerprint",
]
