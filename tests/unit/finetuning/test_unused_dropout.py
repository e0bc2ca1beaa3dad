"""Dropout of the head is refused where no head that is trained has any."""

import pytest

from albert_core.errors import InputError
from albert_core.finetuning.config import FinetuningConfig
from albert_core.finetuning.unused_dropout import refuse_unused_dropout
from albert_core.tasks import TASKS


def refuse(config: FinetuningConfig, *tasks: str) -> None:
    refuse_unused_dropout(config, [TASKS[name] for name in tasks])


@pytest.mark.parametrize("task", ["squad1", "cmrc2018", "drcd"])
def test_heads_for_questions_that_have_an_answer_take_no_dropout(task):
    refuse(FinetuningConfig(), task)
    with pytest.raises(InputError, match=rf"finetuning.classifier_dropout: got 0.0 for {task}, "):
        refuse(FinetuningConfig(classifier_dropout=0.0), task)
    for name in (task, "*"):
        config = FinetuningConfig(per_task={name: {"classifier_dropout": 0.2}})
        with pytest.raises(InputError, match=rf"got 0.2 for {task}, whose questions all"):
            refuse(config, task)


def test_dropout_of_other_heads_stays_beside_them():
    config = FinetuningConfig(classifier_dropout=0.0)
    refuse(config, "squad1", "squad2")
    refuse(config, "squad1", "cola")
    of_task = FinetuningConfig(per_task={"squad1": {"classifier_dropout": 0.0}})
    with pytest.raises(InputError, match=r"per_task\.squad1\.classifier_dropout: got 0.0"):
        refuse(of_task, "squad1", "cola")
    refuse(of_task, "cola")  # of a task that does not run, as other settings of such tasks
