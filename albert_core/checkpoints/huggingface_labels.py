"""Names and kind of a classifier's outputs in config.json of transformers."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from albert_core.checkpoints.checkpoint import Checkpoint
from albert_core.checkpoints.side_files import ProblemType, as_problem_type
from albert_core.errors import InputError
from albert_core.settings.json_values import as_id, describe_value

# What transformers calls outputs that nobody named.
_PLACEHOLDER = "LABEL_{}"
_INDEX = re.compile(r"[0-9]{1,9}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Labels:
    """What a config.json says about a classifier.

    Attributes:
        names: Names of the outputs, in their order; empty where these are LABEL_0, LABEL_1 and so
            on, or where nothing is said.
        problem_type: What the outputs are; None where nothing is said.
        notes: Sentences for the user about what is not followed.
    """

    names: tuple[str, ...] = ()
    problem_type: ProblemType | None = None
    notes: tuple[str, ...] = ()


def labels_from_huggingface(values: Mapping[str, Any], *, num_labels: int, source: str) -> Labels:
    """Return the labels and the problem type of a classifier, by a config.json.

    The names are those of `id2label`, by which transformers answers. A `label2id` that numbers the
    same names in another way is not followed, which a note says.

    Args:
        values: The contents of config.json.
        num_labels: Outputs of the classifier.
        source: Where the contents come from, for messages.

    Raises:
        InputError: `id2label` does not give each output one name that no other has, or
            `problem_type` is unknown or does not fit the number of outputs.
    """
    names = _names(values.get("id2label"), num_labels, source)
    problem_type = values.get("problem_type")
    if problem_type is not None:
        problem_type = as_problem_type(problem_type, source)
        _check_problem_type(problem_type, num_labels, source)
    label_ids = values.get("label2id")
    notes: tuple[str, ...] = ()
    if names and _contradicts(label_ids, names):
        notes = (
            f"{source}: label2id has other numbers ({label_ids}) than id2label, which is followed, "
            f"as by transformers: {', '.join(names)}",
        )
    return Labels(names=names, problem_type=problem_type, notes=notes)


def labels_to_huggingface(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return `id2label`, `label2id` and `problem_type` of a checkpoint with a classifier.

    A classifier of tokens has no problem type. The names are LABEL_0, LABEL_1 and so on where they
    are unknown. With a task the problem type follows from that: multi-label, or else by the number
    of outputs, one being a regression and several a single-label classification; so it does where
    it is unknown.

    Raises:
        InputError: The names are not as many as the outputs.
    """
    num_labels, names = checkpoint.num_labels, list(checkpoint.label_names)
    names = names or [_PLACEHOLDER.format(index) for index in range(num_labels)]
    if len(names) != num_labels:
        raise InputError(
            f"{checkpoint.source}: got {len(names)} labels ({', '.join(names)}), expected "
            f"{num_labels}, one for each output of the classifier"
        )
    by_number = "regression" if num_labels == 1 else "single_label_classification"
    problem_type = None if checkpoint.task else checkpoint.problem_type
    if checkpoint.is_multi_label:
        problem_type = "multi_label_classification"
    values: dict[str, Any] = {
        "id2label": {str(index): name for index, name in enumerate(names)},
        "label2id": {name: index for index, name in enumerate(names)},
    }
    if "token_classifier" in checkpoint.heads:  # transformers asks for none there
        return values
    return {**values, "problem_type": problem_type or by_number}


def _names(by_id: Any, num_labels: int, source: str) -> tuple[str, ...]:
    """Return the names in `id2label` in the order of their numbers.

    An empty tuple if it is missing, or if all are the placeholders that transformers makes
    (LABEL_0, ...).

    Raises:
        InputError: `id2label` does not give each output a name of its own.
    """
    if not by_id:
        return ()
    expected = f"a different name for each of the classifier's {num_labels} outputs"
    if not isinstance(by_id, Mapping):
        raise InputError(f"{source}: got {describe_value(by_id)} as id2label, expected {expected}")
    numbers = {
        int(key): as_id(name, f"{source}: id2label")
        for key, name in by_id.items()
        if _INDEX.fullmatch(str(key))
    }
    names = tuple(numbers[index] for index in sorted(numbers))
    if sorted(numbers) != list(range(num_labels)) or len({*names}) < len(by_id):
        raise InputError(f"{source}: got id2label {dict(by_id)}, expected {expected}")
    is_placeholder = all(name == _PLACEHOLDER.format(n) for n, name in numbers.items())
    return () if is_placeholder else names


def _check_problem_type(problem_type: ProblemType, num_labels: int, source: str) -> None:
    """Refuse a regression with several outputs, and one output that is to be the best of several.

    Labels that apply or not pass with any number of outputs.

    Raises:
        InputError: The classifier is one of these.
    """
    expected = {
        "regression": (num_labels == 1, "one output"),
        "single_label_classification": (num_labels > 1, "two or more outputs"),
        "multi_label_classification": (True, ""),
    }
    fits, wanted = expected[problem_type]
    if not fits:
        raise InputError(
            f"{source}: got problem_type {problem_type!r} and {num_labels} outputs of the "
            f"classifier, expected {wanted}"
        )


def _contradicts(label_ids: Any, names: tuple[str, ...]) -> bool:
    """Return whether `label2id` numbers the same names otherwise; other names tell nothing."""
    if not isinstance(label_ids, Mapping) or label_ids.keys() != {*names}:
        return False
    return any(label_ids[name] != index for index, name in enumerate(names))
