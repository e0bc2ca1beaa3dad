"""A checkpoint that was fine-tuned anywhere as the model of a task of this program."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from albert_core.checkpoints.checkpoint import Checkpoint
from albert_core.checkpoints.conversion import read_checkpoint
from albert_core.checkpoints.names import CLASSIFIER_OUTPUTS
from albert_core.errors import InputError
from albert_core.tasks import Task


def read_for_task(path: str | Path, *, task: Task | None = None, **side_files: Any) -> Checkpoint:
    """Read a checkpoint of any format, as the model of a task if one is given.

    Args:
        path: Path of a model in any format that `read_checkpoint` reads.
        task: Task that the model is to be used for, whatever its files declare; see `fit_to_task`.
            None: the model stays as its files declare it, with or without a task.
        **side_files: The other arguments of `read_checkpoint`.

    Raises:
        InputError: The checkpoint cannot be read, or its head does not fit the task.
        ServiceError: The argument `config` is an address in a bucket, and the storage failed.
    """
    checkpoint = read_checkpoint(path, **side_files)
    return fit_to_task(checkpoint, task) if task else checkpoint


def fit_to_task(checkpoint: Checkpoint, task: Task) -> Checkpoint:
    """Return a checkpoint as the model of a task, whatever its files say of their own task.

    The outputs of a classifier come in the order of the task's labels. They are matched by their
    names, whatever their order, their case and the signs between words. If the task's labels are
    the numbers from 0, as in SST-2 and MRPC, outputs are matched by their index. Outputs without
    names, as the original's run_classifier leaves them, are taken in the order of the task's
    labels. Unless names and order are equal, a note tells how the outputs were matched.

    Args:
        checkpoint: A fine-tuned model.
        task: The task.

    Returns:
        A copy that declares the task and keeps the settings of its fine-tuning.

    Raises:
        InputError: The checkpoint does not have the task's head, or has another number of outputs;
            its outputs have other names than the labels; or its files declare another kind of task,
            such as multi-label.
    """
    _refuse_other_heads(checkpoint, task)
    order = list(range(checkpoint.num_labels))
    notes: tuple[str, ...] = ()
    if task.labels:
        order, notes = _match_labels(checkpoint, task)
    weights = {
        name: np.ascontiguousarray(array[order]) if name in CLASSIFIER_OUTPUTS else array
        for name, array in checkpoint.weights.items()
    }
    return dataclasses.replace(
        checkpoint,
        weights=weights,
        task=dataclasses.asdict(task),
        labels=(),
        problem_type=None,
        is_multiple_choice=task.kind == "multiple_choice",
        notes=(*checkpoint.notes, *notes),
    )


def _refuse_other_heads(checkpoint: Checkpoint, task: Task) -> None:
    """Refuse a checkpoint without the task's head, or with another number or kind of outputs.

    For question answering it must have no outputs of a classifier; where questions may have no
    answer, `span` is accepted as well as `span_beam`. The kind is that of `_declared_kind`; if that
    is empty, any kind is accepted.

    Raises:
        InputError: The checkpoint does not fit the task.
    """
    suitable = ["token_classifier" if task.kind == "token_classification" else "classifier"]
    if task.kind == "question_answering":
        # Transformers has no head for answerability: there [CLS] scores against the spans.
        suitable = ["span_beam", "span"] if task.has_unanswerable else ["span"]
    if not checkpoint.heads & set(suitable):
        heads = ", ".join(sorted(checkpoint.heads)) or "none"
        raise InputError(
            f"model {checkpoint.source}: got the heads {heads}, expected {' or '.join(suitable)} "
            f"for task {task.name}; give a checkpoint that was fine-tuned on it"
        )
    expected = 0 if task.kind == "question_answering" else task.num_outputs
    if checkpoint.num_labels != expected:
        raise InputError(
            f"model {checkpoint.source}: got a classifier with {checkpoint.num_labels} outputs, "
            f"expected {expected} for task {task.name}"
        )
    declared = _declared_kind(checkpoint)
    if declared not in ("", task.kind):
        raise InputError(
            f"model {checkpoint.source}: got one for {declared}, expected one for {task.kind}, as "
            f"task {task.name} is"
        )


def _declared_kind(checkpoint: Checkpoint) -> str:
    """Return the kind of task that a model's files declare; empty if they declare none.

    `multiple_choice`, `multi_label` and, by its head, `token_classification` are told with or
    without a task.json. For any other model without one, the problem type tells `regression` or
    `classification`; for any other model with one the result is empty.
    """
    if checkpoint.is_multiple_choice:
        return "multiple_choice"
    if checkpoint.is_multi_label:
        return "multi_label"
    if "token_classifier" in checkpoint.heads:
        return "token_classification"
    kinds = {"regression": "regression", "single_label_classification": "classification"}
    return "" if checkpoint.task else kinds.get(checkpoint.problem_type or "", "")


def _match_labels(checkpoint: Checkpoint, task: Task) -> tuple[list[int], tuple[str, ...]]:
    """Return the number of the output for each of a task's labels, and notes for the user.

    Outputs are found in any order by the names of the labels, spelling apart (see `_plain`).
    Outputs without names, or with numbers for names, are taken in the order of the labels; so are
    all outputs if the task's labels are numbers. There are notes unless the names are equal.

    Raises:
        InputError: The outputs have other names.
    """
    names, labels = checkpoint.label_names, task.labels
    in_order = list(range(len(labels)))
    if tuple(names) == labels:
        return in_order, ()
    by_name = {_plain(name): index for index, name in enumerate(names)}
    if by_name.keys() == {_plain(label) for label in labels}:
        order = [by_name[_plain(label)] for label in labels]
        return order, (f"the classifier's outputs {_listed(names)} are read as {_listed(labels)}",)
    if not names or _are_numbers(names):
        return in_order, (
            f"the classifier's outputs have no names: taken for {_listed(labels)}, in this order",
        )
    if _are_numbers(labels):
        pairs = ", ".join(f"{label}: {name}" for label, name in zip(labels, names, strict=True))
        return in_order, (f"the classifier's outputs are the labels by their numbers: {pairs}",)
    raise InputError(
        f"model {checkpoint.source}: got the labels {_listed(names)}, expected those of task "
        f"{task.name}, in any order: {_listed(labels)}; give a task.yaml that declares the model's"
    )


def _plain(label: str) -> str:
    """Return a label in lower case, its words joined by underscores."""
    return "_".join(label.lower().replace("-", " ").replace("_", " ").split())


def _are_numbers(labels: Sequence[str]) -> bool:
    """Return whether labels are the numbers from 0, in their order."""
    return list(labels) == [str(number) for number in range(len(labels))]


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels)
