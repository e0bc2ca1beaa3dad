"""Which pooling the head of a task has. Does not import Keras."""

from collections.abc import Collection, Mapping
from typing import Literal

from albert_core.errors import InputError
from albert_core.pooling import ORIGINAL_POOLING, POOLINGS, HeadPooling
from albert_core.tasks.task import Task

PoolingSetting = Literal["auto", HeadPooling]

_Examples = Literal["texts", "pairs", "choices", "questions", "words"]

# What `auto` is, by what an example is: the best of those measured (docs/experiments.md). Classes
# of pairs differ: whether two texts say the same is seen by comparing them, whether one follows the
# other is not, so that only tasks which were measured are compared.
_DEFAULTS: Mapping[_Examples, HeadPooling] = {
    "texts": "mean",
    "pairs": "pooler",
    "choices": "pooler",
    "questions": "pooler",
    "words": "pooler",
}
_SCORES_OF_PAIRS: HeadPooling = "siamese"
_MEASURED_TASKS: Mapping[str, HeadPooling] = {"mrpc": "siamese", "rte": "siamese"}
_POSSIBLE: Mapping[_Examples, tuple[HeadPooling, ...]] = {
    "texts": ("pooler", "mean", "layer_mix"),
    "pairs": tuple(POOLINGS),
    "choices": ("pooler", "mean", "layer_mix"),
    "questions": ("pooler",),
    "words": ("pooler",),
}


def choose_pooling(
    setting: PoolingSetting,
    task: Task,
    *,
    is_original: bool,
    supported: Collection[HeadPooling] = tuple(POOLINGS),
) -> HeadPooling:
    """Return the pooling of a task's head.

    Args:
        setting: What is asked for. `auto` is `mean` for single texts, `siamese` for pairs and
            `pooler` for all else; and `pooler`, the original's, where `is_original`, or where the
            former is not supported.
        task: The task.
        is_original: Whether the task is fine-tuned as the original does.
        supported: Those that the model may have; what is asked for by name is not looked for there.

    Raises:
        InputError: A task with such examples cannot have the pooling.
    """
    examples = _examples(task)
    if setting == "auto":
        chosen = ORIGINAL_POOLING if is_original else _default(task, examples)
        return chosen if chosen in supported else ORIGINAL_POOLING
    if setting not in _POSSIBLE[examples]:
        raise InputError(
            f"finetuning.pooling for {task.name}: got {setting} for a task of {examples}, expected "
            f"auto or one of {', '.join(_POSSIBLE[examples])}; set it for this task alone with "
            f"finetuning.per_task.{task.name}.pooling"
        )
    return setting


def _default(task: Task, examples: _Examples) -> HeadPooling:
    """Return what `auto` is: by the task where that was measured, else by what an example is."""
    if examples == "pairs" and task.kind == "regression":
        return _SCORES_OF_PAIRS
    if examples == "pairs":
        return _MEASURED_TASKS.get(task.name, _DEFAULTS[examples])
    return _DEFAULTS[examples]


def _examples(task: Task) -> _Examples:
    """Return what an example of a task is; pairs only if those of all its files are."""
    if task.kind == "question_answering":
        return "questions"
    if task.kind == "token_classification":
        return "words"
    if task.kind == "multiple_choice":
        return "choices"
    sources = (*task.train, *task.dev, *task.test)
    return "pairs" if all(len(one.texts or task.texts) == 2 for one in sources) else "texts"
