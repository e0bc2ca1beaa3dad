"""Features and targets of a frozen probe: of texts, of pairs, and of texts with choices.

Shape suffixes: N examples, C classes, labels or choices, H hidden.
"""

from collections.abc import Sequence

import numpy as np

from albert_core.finetuning.features import Features, make_features
from albert_core.tasks import Example, Task
from albert_core.tokenization import Tokenizer

_LEAST_STD = 1e-6


def make_columns(
    examples: Sequence[Example], tokenizer: Tokenizer, sequence_length: int
) -> list[Features]:
    """Return features for each place of a text: of all first texts, of all second texts and so on.

    Each has a sequence for every example, in their order, and no targets. Without examples the list
    is empty. All examples must have as many texts (else ValueError).
    """
    return [
        make_features(
            [Example(id="", texts=(text,), target=None) for text in column],
            tokenizer,
            sequence_length,
        )
        for column in zip(*(example.texts for example in examples), strict=True)
    ]


def mean_and_scale(vectors_NH: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each dimension [H], 1 where it is constant."""
    # In float64: the sum of many float32 loses digits.
    std_H = vectors_NH.std(axis=0, dtype=np.float64)
    mean_H = vectors_NH.mean(axis=0, dtype=np.float64)
    return mean_H, np.where(std_H > _LEAST_STD, std_H, 1.0)


def join_columns(columns: Sequence[np.ndarray], task: Task) -> np.ndarray:
    """Return the features of examples from the standardised means of their texts [N, H] each.

    For single texts they are the mean [N, H]; for pairs [N, 4 H + 1]; for a text and C choices the
    features of each pair of the text and a choice, one after the other [N C, 4 H + 1].
    """
    first, *others = columns
    if not others:
        return first
    pairs = [_compare(first, second) for second in others]
    if task.kind == "multiple_choice":
        return np.stack(pairs, axis=1).reshape(-1, pairs[0].shape[1])
    return pairs[0]


def _compare(a_NH: np.ndarray, b_NH: np.ndarray) -> np.ndarray:
    """Return both vectors, |a - b|, a * b and the cosine: [N, 4 H + 1].

    Source: Conneau et al. 2017, section 3.1; the cosine is ours.
    """
    norms_N = np.linalg.norm(a_NH, axis=1) * np.linalg.norm(b_NH, axis=1)
    cosines_N = (a_NH * b_NH).sum(axis=1) / np.maximum(norms_N, _LEAST_STD)
    return np.concatenate(
        [a_NH, b_NH, np.abs(a_NH - b_NH), a_NH * b_NH, cosines_N[:, None]], axis=1
    )


def numeric_targets(task: Task, targets: np.ndarray, num_choices: int) -> np.ndarray:
    """Return the targets as numbers: 1 or -1 for classes, labels and choices, else scores.

    Args:
        task: The task.
        targets: The targets of its examples.
        num_choices: Number of choices, where there are choices.

    Returns:
        [N, C]; for multiple choice [N C, 1].
    """
    if task.kind == "regression":
        return targets.astype(np.float64)[:, None]
    if task.kind == "multi_label":
        return 2.0 * targets - 1
    is_choice = task.kind == "multiple_choice"
    classes = np.arange(num_choices if is_choice else task.num_outputs)
    signs_NC = np.where(targets[:, None] == classes, 1.0, -1.0)
    return signs_NC.reshape(-1, 1) if is_choice else signs_NC
