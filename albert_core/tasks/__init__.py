"""Declarations of tasks (files, labels, metrics, recipes), their readers and their metrics."""

from albert_core.tasks.examples import Answer, Example, InvalidRows, Question, TaggedSentence
from albert_core.tasks.metrics import compute_metrics
from albert_core.tasks.reading import (
    has_training,
    read_examples,
    read_questions,
    read_sentences,
    task_fingerprint,
)
from albert_core.tasks.recipe import Recipe
from albert_core.tasks.registry import (
    TASK_GROUPS,
    TASKS,
    data_folder,
    expand_groups,
    find_task,
    named_task,
)
from albert_core.tasks.source import Source
from albert_core.tasks.task import Task

__all__ = [
    "TASKS",
    "TASK_GROUPS",
    "Answer",
    "Example",
    "InvalidRows",
    "Question",
    "Recipe",
    "Source",
    "TaggedSentence",
    "Task",
    "compute_metrics",
    "data_folder",
    "expand_groups",
    "find_task",
    "has_training",
    "named_task",
    "read_examples",
    "read_questions",
    "read_sentences",
    "task_fingerprint",
]
