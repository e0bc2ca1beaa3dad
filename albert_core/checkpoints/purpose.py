"""What a model was fine-tuned for, as the files beside its weights say it."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from albert_core.checkpoints.huggingface_config import classifies_tokens, scores_choices
from albert_core.checkpoints.huggingface_labels import labels_from_huggingface
from albert_core.checkpoints.side_files import ProblemType, SideFiles, read_heads, read_side_files

_KINDS: Mapping[ProblemType, str] = {
    "regression": "regression",
    "single_label_classification": "classification",
    "multi_label_classification": "multi_label",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Purpose:
    """What a model was fine-tuned for.

    Attributes:
        task: Name of its task; empty if none is declared.
        kind: What it answers, as in a task's declaration; empty if nothing says.
        labels: Names of its classifier's outputs, in their order; empty if nobody named them.
        sequence_length: Longest input of its fine-tuning, in tokens; None if not known.
    """

    task: str = ""
    kind: str = ""
    labels: tuple[str, ...] = ()
    sequence_length: int | None = None


def read_purpose(folder: Path) -> Purpose:
    """Return the purpose of a model, by the side files in its folder.

    Raises:
        InputError: One of them cannot be used.
    """
    heads, _ = read_heads(folder, default=frozenset())
    is_of_tokens = "token_classifier" in heads
    return _summarize(
        read_side_files(folder), default_kind="token_classification" if is_of_tokens else ""
    )


def read_huggingface_purpose(folder: Path, values: Mapping[str, Any], num_labels: int) -> Purpose:
    """Return the purpose of a model in a folder of transformers.

    A task.json in it comes first, then config.json, whose labels replace those of a head.json.

    Args:
        folder: The folder.
        values: The contents of its config.json.
        num_labels: Outputs of the model's classifier; 0 without one.

    Raises:
        InputError: A side file cannot be used, or config.json does not fit the classifier.
    """
    files = read_side_files(folder)
    if scores_choices(values):
        files["is_multiple_choice"] = True
    elif num_labels:
        is_of_tokens = classifies_tokens(values)
        labels = labels_from_huggingface(values, num_labels=num_labels, source=str(folder))
        files["labels"], files["problem_type"] = labels.names, labels.problem_type
        return _summarize(files, default_kind="token_classification" if is_of_tokens else "")
    return _summarize(files)


def _summarize(files: SideFiles, *, default_kind: str = "") -> Purpose:
    """Return the purpose that side files tell, the task's declaration before all else.

    Without one the kind is that of the problem type, or multiple choice where a file says so, else
    `default_kind`; what nobody tells is empty, an unknown sequence length None.
    """
    task, finetuning = files["task"] or {}, files["finetuning"] or {}
    kind = _KINDS[files["problem_type"]] if files["problem_type"] else default_kind
    if files["is_multiple_choice"]:
        kind = "multiple_choice"
    return Purpose(
        task=task.get("name", ""),
        kind=task.get("kind", "") or kind,
        labels=tuple(task.get("labels") or ()) or files["labels"],
        sequence_length=finetuning.get("sequence_length"),
    )
