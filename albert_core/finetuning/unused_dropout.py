"""Refuse a dropout of heads that no head has."""

from collections.abc import Sequence

from albert_core.errors import InputError
from albert_core.finetuning.config import EVERY_TASK, FinetuningConfig
from albert_core.tasks.task import Task

_NAME = "classifier_dropout"


def refuse_unused_dropout(config: FinetuningConfig, tasks: Sequence[Task]) -> None:
    """Refuse a `classifier_dropout` for heads without dropout: of questions that have an answer.

    Set for all tasks, it is refused only where none of them has a head with dropout.

    Args:
        config: The settings, with `per_task`.
        tasks: All tasks that are fine-tuned with them.

    Raises:
        InputError: It is set for such a head alone.
    """
    without = [task.name for task in tasks if not _has_dropout(task)]
    settings = {
        f"finetuning.per_task.{name}.{_NAME}": config.per_task[name][_NAME]
        for name in without
        if config.per_task.get(name, {}).get(_NAME) is not None
    }
    if without and len(without) == len(tasks):
        if config.classifier_dropout != FinetuningConfig.classifier_dropout:
            settings[f"finetuning.{_NAME}"] = config.classifier_dropout
        if (for_all := config.per_task.get(EVERY_TASK, {}).get(_NAME)) is not None:
            settings[f"finetuning.per_task.{EVERY_TASK}.{_NAME}"] = for_all
    if settings:
        setting, value = next(iter(settings.items()))
        raise InputError(
            f"{setting}: got {value} for {', '.join(without)}, whose questions all have an answer; "
            "such a head has no dropout; remove it (finetuning.hidden_dropout and "
            "attention_dropout are of the encoder)"
        )


def _has_dropout(task: Task) -> bool:
    return task.kind != "question_answering" or task.has_unanswerable
