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
        setting: What is asked for. `auto` is `mean` for single texts; `siamese` for scores
            (regression) of pairs, and for tasks of pairs named `mrpc` or `rte`; `pooler` for other
            pairs, choices, questions and words with tags. With `is_original` it is `pooler` for
            all, and so it is where the pooling is not in `supported`.
        task: The task.
        is_original: Whether the task is fine-tuned as the original does.
        supported: The poolings, beside `pooler`, that `auto` may become. Not used for other
            settings.

    Raises:
        InputError: Another setting than `auto` is none that a task with such examples can have.
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
    """Return the pooling for `auto` without the original's recipe, as `choose_pooling` says."""
    if examples == "pairs" and task.kind == "regression":
        return _SCORES_OF_PAIRS
    if examples == "pairs":
        return _MEASURED_TASKS.get(task.name, _DEFAULTS[examples])
    return _DEFAULTS[examples]


def _examples(task: Task) -> _Examples:
    """Return the kind of a task's examples; `pairs` only if all files have two texts a row.

    A task with files of one text and of two counts as one of `texts`.
    """
    if task.kind == "question_answering":
        return "questions"
    if task.kind == "token_classification":
        return "words"
    if task.kind == "multiple_choice":
        return "choices"
    sources = (*task.train, *task.dev, *task.test)
    return "pairs" if all(len(source.texts or task.texts) == 2 for source in sources) else "texts"
