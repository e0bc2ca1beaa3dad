"""Differences between the outputs of a model in two runtimes, as values or as probabilities.

Shape suffixes: B batch, C classes or choices, K starts, L ends of each.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

import numpy as np

from albert_core.errors import StepFailedError
from albert_core.model_function import ModelOutputs

Candidates = Mapping[Hashable, float]
"""Log probabilities by position."""

# The logarithm of the smallest float32 probability above 0. Masked positions are far below, where
# runtimes differ by large numbers that mean nothing.
_LEAST_LOG_PROBABILITY = float(np.log(np.finfo(np.float32).tiny))


def largest_differences(
    reference: ModelOutputs,
    outputs: ModelOutputs,
    *,
    as_probabilities: bool = False,
    is_multi_label: bool = False,
) -> dict[str, float]:
    """Return the largest absolute difference of each output; NaN if a value is NaN.

    The results of an answer search (`start_top_*`, `end_top_*`) are compared by position in the
    text, not by rank: which of two equally likely answers comes first does not matter. They give
    `start_top_log_probs` and `end_top_log_probs`. Outputs that the reference lacks are ignored.

    Args:
        reference: Outputs of the Keras model.
        outputs: Outputs of another runtime for the same inputs.
        as_probabilities: Compare the probabilities of classes, choices, tokens and positions, and
            leave out outputs that have none (`sequence_output`, `pooled_output`); a regression's
            output is compared as it is.
        is_multi_label: Whether each of the `logits` has a probability by itself.

    Raises:
        StepFailedError: An output is missing, or of another shape.
    """
    _refuse_other_outputs(reference, outputs)
    differences: dict[str, float] = {}
    for name, expected in reference.items():
        if name.startswith(("start_top", "end_top")):
            continue
        values = (expected, outputs[name])
        if as_probabilities:
            measure = _get_probability_function(name, is_multi_label)
            if measure is None:
                continue
            values = (measure(values[0]), measure(values[1]))
        differences[name] = float(np.max(np.abs(values[0] - values[1]), initial=0.0))
    if "start_top_index" in reference:
        differences |= _search_differences(reference, outputs, np.exp if as_probabilities else None)
    return differences


def _refuse_other_outputs(reference: ModelOutputs, outputs: ModelOutputs) -> None:
    """Refuse outputs that lack one of the reference, or have it in another shape.

    Raises:
        StepFailedError: The first such output.
    """
    for name, expected in reference.items():
        if name not in outputs:
            raise StepFailedError(f"no output {name}, only {', '.join(sorted(outputs))}")
        if np.shape(outputs[name]) != expected.shape:
            raise StepFailedError(
                f"output {name} is of shape {np.shape(outputs[name])}, expected {expected.shape}"
            )


def _get_probability_function(
    name: str, is_multi_label: bool
) -> Callable[[np.ndarray], np.ndarray] | None:
    """Return the function from an output's logits to probabilities; None if it has no logits.

    Logits of answerability (`cls_logits`) and of multi-label classifiers have probabilities each by
    itself (sigmoid), all other names that end in `logits` over their last axis (softmax).
    """
    if name == "cls_logits" or (name == "logits" and is_multi_label):
        return _sigmoid
    return _softmax if name.endswith("logits") else None


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities over the last axis; the output of a regression as it is."""
    if logits.shape[-1] == 1:
        return logits
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return odds / odds.sum(axis=-1, keepdims=True)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities of single logits."""
    # By tanh, which unlike exp does not overflow.
    return 0.5 * (1 + np.tanh(logits / 2))


def _search_differences(
    reference: ModelOutputs, outputs: ModelOutputs, measure: Callable[[Any], Any] | None
) -> dict[str, float]:
    """Return the largest differences of starts and of ends in an answer search, over a batch.

    Ends are compared for the starts that both runtimes found; 0 if there are none.

    Args:
        reference: Outputs with `start_top_*` and `end_top_*`.
        outputs: Outputs of another runtime, of the same names.
        measure: Applied to log probabilities before they are compared; None compares themselves.
    """
    differences: dict[str, list[float]] = {"start_top_log_probs": [], "end_top_log_probs": []}
    pairs = zip(_split_searches(reference), _split_searches(outputs), strict=True)
    for (starts, ends_by_start), (other_starts, other_ends) in pairs:
        compared = [("start_top_log_probs", starts, other_starts)]
        compared += [
            ("end_top_log_probs", ends, other_ends[start])
            for start, ends in ends_by_start.items()
            if start in other_ends
        ]
        for name, first, second in compared:
            differences[name].append(_candidates_difference(first, second, measure))
    return {name: float(np.max(values, initial=0.0)) for name, values in differences.items()}


def _split_searches(outputs: ModelOutputs) -> Iterator[tuple[Candidates, Mapping[int, Candidates]]]:
    """Yield for each example its starts, and the ends of each start by the start's position.

    `end_top_index` and `end_top_log_probs` are flat [B, K * L], the ends of the first start first.
    """
    starts_BK, ends_BKL = outputs["start_top_index"], outputs["end_top_index"]
    shape_BKL = (*starts_BK.shape, ends_BKL.shape[1] // starts_BK.shape[1])
    for starts_K, start_log_probs_K, ends_KL, end_log_probs_KL in zip(
        starts_BK.astype(int),
        outputs["start_top_log_probs"],
        ends_BKL.astype(int).reshape(shape_BKL),
        outputs["end_top_log_probs"].reshape(shape_BKL),
        strict=True,
    ):
        ends = {
            int(start): _candidates(ends_L, log_probs_L)
            for start, ends_L, log_probs_L in zip(starts_K, ends_KL, end_log_probs_KL, strict=True)
        }
        yield _candidates(starts_K, start_log_probs_K), ends


def _candidates(positions: np.ndarray, log_probs: np.ndarray) -> Candidates:
    """Return log probabilities by position, none below that of the smallest float32."""
    floored = np.maximum(log_probs, _LEAST_LOG_PROBABILITY)
    return dict(zip(positions.tolist(), floored.tolist(), strict=True))


def _candidates_difference(
    first: Candidates, second: Candidates, measure: Callable[[Any], Any] | None
) -> float:
    """Return the largest difference between two lists of the most likely positions.

    A position that only one list holds is at most as likely as the least likely of the other, and
    is compared with that. `measure` is as for `_search_differences`. No list may be empty.
    """
    sides = (first, second)
    least = [min(side.values()) for side in sides]
    log_probs = np.array(
        [
            [side.get(key, lowest) for side, lowest in zip(sides, least, strict=True)]
            for key in {**first, **second}
        ]
    )
    values = measure(log_probs) if measure else log_probs
    return float(np.max(np.abs(values[:, 0] - values[:, 1])))
