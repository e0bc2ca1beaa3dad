"""Say in words whether pretraining paid, or how the models score, and what to do next."""

import math
from collections.abc import Iterator, Sequence

from components.number_formats import format_count, format_gain, format_points
from components.report.advice import give_advice
from components.report.significance import Difference, Interval, mean_gain
from components.report.summary import RunSummary, TaskSummary, Verdict

_RANDOM, _WITHOUT_MODEL, _MAJORITY = "random_weights", "without_model", "majority"

_BASELINE_NAMES = {
    _RANDOM: "random weights with the same head",
    _WITHOUT_MODEL: "the words alone ({way})",
    _MAJORITY: "the majority",
}

BASELINE_COLUMNS = {
    _RANDOM: "Random weights",
    _WITHOUT_MODEL: "TF-IDF",
    _MAJORITY: "Majority",
}


_TAGGING = "token_classification"
_MOST_FREQUENT_TAG = "each word's most frequent tag"

_PAID = "Did pretraining pay?"
_BETTER = "Is the model better than simpler ways?"


def judge(run: RunSummary) -> Verdict:
    """Return the verdict on a run: question and answer, reasons, a sentence for each task, advice.

    The question is whether pretraining paid if a task was also fine-tuned from random weights, else
    whether the model is better than simpler baselines.

    Args:
        run: The run; its `verdict` is not read.
    """
    has_control = bool(against(run.tasks, _RANDOM))
    return Verdict(
        question=_PAID if has_control else _BETTER,
        answer=_answer(run.tasks) if has_control else _answer_without_control(run.tasks),
        reasons=list(_reasons(run.tasks)),
        tasks={task.name: _task_sentence(task) for task in run.tasks},
        advice=give_advice(run),
    )


def against(tasks: Sequence[TaskSummary], baseline: str) -> list[Difference]:
    """Return the differences from one baseline, in order, of all tasks that have it."""
    return [
        difference
        for task in tasks
        for difference in task.differences
        if difference.baseline == baseline
    ]


def _simple_way(tasks: Sequence[TaskSummary]) -> str:
    """Return in words which baseline without a model the tasks have: TF-IDF, tags, or either."""
    are_tags = [task.kind == _TAGGING for task in tasks if task.difference_from(_WITHOUT_MODEL)]
    if all(are_tags) and are_tags:
        return _MOST_FREQUENT_TAG
    return f"TF-IDF or {_MOST_FREQUENT_TAG}" if any(are_tags) else "TF-IDF"


def _sign(interval: Interval | None) -> int:
    """Return 1 or -1 if an interval is wholly above or below 0; else 0."""
    return 0 if interval is None else int(interval[0] > 0) - int(interval[1] < 0)


def _answer(tasks: Sequence[TaskSummary]) -> str:
    """Return in one sentence whether pretraining paid, by the interval of the mean over the tasks.

    The gain over random weights decides first; if it is above chance, that over TF-IDF or each
    word's most frequent tag (where it was measured) says whether the model is worth its cost.

    Args:
        tasks: At least one of them has a control from random weights.
    """
    words, way = against(tasks, _WITHOUT_MODEL), _simple_way(tasks)
    gain, interval = mean_gain(against(tasks, _RANDOM))
    sign = _sign(interval)
    if sign < 0:
        return "Pretraining did not pay: random weights score better."
    if sign == 0:
        return (
            "It is not shown that pretraining paid: the difference from random weights is within "
            "chance."
        )
    if words and _sign(mean_gain(words)[1]) < 0:
        return (
            f"Pretraining helped, but the model is not worth its cost yet: {way} without a model "
            "scores better."
        )
    beaten = f" and over {way}" if words and _sign(mean_gain(words)[1]) > 0 else ""
    equal = ""
    if words and not beaten:
        equal = f"; over {way} without a model no gain is shown"
    return f"Pretraining paid: {format_gain(gain)} points over random weights{beaten}{equal}."


def _answer_without_control(tasks: Sequence[TaskSummary]) -> str:
    """Return whether the model is better than simpler ways, by the mean over tasks, in words.

    These are TF-IDF and each word's most frequent tag; if no task has either, the majority. It says
    that nothing is known about pretraining, since there is no control from random weights; without
    tasks, that nothing is known.
    """
    if not tasks:
        return "Not known: no task was fine-tuned."
    compared = against(tasks, _WITHOUT_MODEL) or against(tasks, _MAJORITY)
    name = {
        _WITHOUT_MODEL: f"{_simple_way(tasks)} without a model",
        _MAJORITY: "always giving the majority's answer",
    }[compared[0].baseline]
    gain, interval = mean_gain(compared)
    answer = {
        1: f"Yes: {format_gain(gain)} points over {name}.",
        -1: f"No: {name} scores better; {format_gain(gain)} points.",
        0: f"Not shown: the difference from {name} is within chance.",
    }[_sign(interval)]
    if interval is None:
        answer = f"Not known: {format_gain(gain)} points over {name}, without an interval."
    return (
        f"{answer} What pretraining brings to fine-tuning was not measured: no task was fine-tuned "
        "from random weights."
    )


def _reasons(tasks: Sequence[TaskSummary]) -> Iterator[str]:
    """Yield a sentence on each baseline over all tasks that have it, and on what limits them.

    It has the mean gain and in how many tasks the model is better, worse or within chance. Then on
    frozen probes, on runs from random weights left out for other settings or trained in another
    precision, and, if no task had several seeds, on that.
    """
    for baseline, name in _BASELINE_NAMES.items():
        differences = against(tasks, baseline)
        if not differences:
            continue
        gain, interval = mean_gain(differences)
        num_better = sum(difference.sign > 0 for difference in differences)
        num_worse = sum(difference.sign < 0 for difference in differences)
        mean = "on average " if len(differences) > 1 else ""
        against_name = name.format(way=_simple_way(tasks))
        yield (
            f"Against {against_name}: {mean}{_points(gain, interval)}; better in {num_better} of "
            f"{format_count(len(differences), 'task')}, worse in {num_worse}, within chance in "
            f"{len(differences) - num_better - num_worse}."
        )
    yield from _probe_reasons(tasks)
    for task in tasks:
        if task.random_weights_unequal_settings:
            names = ", ".join(task.random_weights_unequal_settings)
            yield (
                f"{task.name} was fine-tuned from random weights with other settings ({names}), "
                "which is no comparison: that run is left out."
            )
        if task.random_weights_other_compute:
            yield task.random_weights_other_compute
    if tasks and all(task.num_seeds == 1 for task in tasks):
        yield (
            "Each score is of one training: the intervals hold for other dev examples, not for "
            "other seeds, which can differ by a point or more."
        )


def _probe_reasons(tasks: Sequence[TaskSummary]) -> Iterator[str]:
    """Yield one sentence on the frozen probes of all tasks that have one; none without any.

    It has the mean gain of the best layer over random weights, and in how many tasks it is above,
    below or within chance by its interval.
    """
    gains = [task.probe["best_layer_gain"] for task in tasks if task.probe]
    if not gains:
        return
    num_better = sum(gain["low"] > 0 for gain in gains)
    num_worse = sum(gain["high"] < 0 for gain in gains)
    mean = math.fsum(gain["gain"] for gain in gains) / len(gains)
    average = "on average " if len(gains) > 1 else ""
    yield (
        f"Frozen, read by a ridge regression: {average}{format_gain(mean)} points over random "
        f"weights; better in {num_better} of {format_count(len(gains), 'task')}, worse in "
        f"{num_worse}, within chance in {len(gains) - num_better - num_worse}."
    )


def _task_sentence(task: TaskSummary) -> str:
    """Return in one sentence how a task's score compares with each of its baselines.

    With several seeds, their mean is compared. Empty without baselines.
    """
    if not task.differences:
        return ""
    way = _simple_way([task])
    parts = [
        f"{_words(difference)} {_BASELINE_NAMES[difference.baseline].format(way=way)} "
        f"({format_points(difference.score)}): {_points(difference.gain, _interval(difference))}"
        for difference in task.differences
    ]
    first = task.differences[0]
    seeds_text = f", the mean of {first.num_seeds} seeds," if first.num_seeds > 1 else ""
    return f"{format_points(first.model_score)}{seeds_text} is {'; '.join(parts)}."


def _words(difference: Difference) -> str:
    """Return how a score compares with a baseline, as far as the interval tells."""
    if difference.low is None:
        return "compared with"
    return {1: "better than", -1: "worse than", 0: "within chance of"}[difference.sign]


def _interval(difference: Difference) -> Interval | None:
    if difference.low is None or difference.high is None:
        return None
    return difference.low, difference.high


def _points(gain: float, interval: Interval | None) -> str:
    """Return a gain in points with its interval, if there is one."""
    text = f"{format_gain(gain)} points"
    if interval is None:
        return text
    low, high = map(format_gain, interval)
    return f"{text} (95 % interval {low} to {high})"
