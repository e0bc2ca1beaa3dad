"""Say in words whether pretraining paid, and what to do next."""

from collections.abc import Iterator, Sequence

from components.number_formats import format_count, format_gain, format_points
from components.report.advice import give_advice
from components.report.significance import Difference, Interval, mean_gain
from components.report.summary import RunSummary, TaskSummary, Verdict

_RANDOM, _WITHOUT_MODEL, _MAJORITY = "random_weights", "without_model", "majority"

_BASELINE_NAMES = {
    _RANDOM: "random weights with the same head",
    _WITHOUT_MODEL: "the words alone (TF-IDF)",
    _MAJORITY: "the majority",
}

BASELINE_COLUMNS = {
    _RANDOM: "Random weights",
    _WITHOUT_MODEL: "TF-IDF",
    _MAJORITY: "Majority",
}


def judge(run: RunSummary) -> Verdict:
    """Return the verdict on a run: the answer, its reasons, a sentence for each task, advice.

    Args:
        run: The run; its `verdict` is not read.
    """
    return Verdict(
        answer=_answer(run.tasks),
        reasons=list(_reasons(run.tasks)),
        tasks={task.name: _task_sentence(task) for task in run.tasks},
        advice=give_advice(run),
    )


def against(tasks: Sequence[TaskSummary], baseline: str) -> list[Difference]:
    """Return the differences of all tasks from one baseline, of those that have it, in order."""
    return [one for task in tasks for one in task.differences if one.baseline == baseline]


def _sign(interval: Interval | None) -> int:
    """Return 1 or -1 if an interval is wholly above or below 0; else 0."""
    return 0 if interval is None else int(interval[0] > 0) - int(interval[1] < 0)


def _answer(tasks: Sequence[TaskSummary]) -> str:
    """Return in one sentence whether pretraining paid, by the mean over the tasks."""
    if not tasks:
        return "Whether pretraining paid is not known: no task was fine-tuned."
    random, words = against(tasks, _RANDOM), against(tasks, _WITHOUT_MODEL)
    if not random:
        also = ""
        if words:
            sign = _sign(mean_gain(words)[1])
            also = {
                1: " The model scores better than TF-IDF without a model.",
                -1: " TF-IDF without a model scores better.",
                0: " No gain over TF-IDF without a model is shown.",
            }[sign]
        return (
            "Whether pretraining paid is not known: nothing was fine-tuned from random weights to "
            f"compare with.{also}"
        )
    gain, interval = mean_gain(random)
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
            "Pretraining helped, but the model is not worth its cost yet: TF-IDF without a model "
            "scores better."
        )
    beaten = " and over TF-IDF" if words and _sign(mean_gain(words)[1]) > 0 else ""
    equal = ""
    if words and not beaten:
        equal = "; over TF-IDF without a model no gain is shown"
    return f"Pretraining paid: {format_gain(gain)} points over random weights{beaten}{equal}."


def _reasons(tasks: Sequence[TaskSummary]) -> Iterator[str]:
    """Yield a sentence on each baseline over all tasks that have it, and on what limits them."""
    for baseline, name in _BASELINE_NAMES.items():
        differences = against(tasks, baseline)
        if not differences:
            continue
        gain, interval = mean_gain(differences)
        num_better = sum(one.sign > 0 for one in differences)
        num_worse = sum(one.sign < 0 for one in differences)
        mean = "on average " if len(differences) > 1 else ""
        yield (
            f"Against {name}: {mean}{_points(gain, interval)}; better in {num_better} of "
            f"{format_count(len(differences), 'task')}, worse in {num_worse}, within chance in "
            f"{len(differences) - num_better - num_worse}."
        )
    if tasks and all(task.num_seeds == 1 for task in tasks):
        yield (
            "Each score is of one training: the intervals hold for other dev examples, not for "
            "other seeds, which can differ by a point or more."
        )


def _task_sentence(task: TaskSummary) -> str:
    """Return in one sentence how a task's score compares with each of its baselines."""
    parts = [
        f"{_words(one)} {_BASELINE_NAMES[one.baseline]} ({format_points(one.score)}): "
        f"{_points(one.gain, _interval(one))}"
        for one in task.differences
    ]
    return f"{format_points(task.score)} is {'; '.join(parts)}." if parts else ""


def _words(one: Difference) -> str:
    """Return how a score compares with a baseline, as far as the interval tells."""
    if one.low is None:
        return "compared with"
    return {1: "better than", -1: "worse than", 0: "within chance of"}[one.sign]


def _interval(one: Difference) -> Interval | None:
    return None if one.low is None or one.high is None else (one.low, one.high)


def _points(gain: float, interval: Interval | None) -> str:
    """Return a gain in points with its interval, if there is one."""
    text = f"{format_gain(gain)} points"
    if interval is None:
        return text
    low, high = map(format_gain, interval)
    return f"{text} (95 % interval {low} to {high})"
