"""Small models of every kind that can be served, untrained."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from albert_core.checkpoints import save_folder, save_huggingface
from albert_core.checkpoints.side_files import FINETUNING_NAME, TASK_NAME
from albert_core.exports.formats import ExportFormat
from albert_core.files.atomic import write_json
from albert_core.finetuning.config import FinetuningConfig, QuestionConfig
from albert_core.finetuning.models import new_task_model
from albert_core.model import AlbertForPreTraining
from albert_core.tasks import TASKS, Task
from albert_core.tokenization import Tokenizer
from tests.helpers.checkpoint_samples import (
    CONFIG,
    classifier,
    draw_head,
    multiple_choice,
    of_model,
)
from tests.helpers.tiny_tasks import TINY_TASKS

TASKS_BY_NAME = {
    **TINY_TASKS,
    "race": TASKS["race"],
    "averaged": dataclasses.replace(TINY_TASKS["topic"], name="averaged"),
    "apart": dataclasses.replace(TINY_TASKS["sea"], name="apart"),
}
QUESTIONS = QuestionConfig(doc_stride=6, max_query_length=8, n_best_size=4)
SETTINGS = FinetuningConfig(
    sequence_length=20, max_choice_length=8, questions=QUESTIONS, pooling="pooler"
)
# Of models whose head is none of the original's, by their task.
SETTINGS_BY_NAME = {
    "averaged": dataclasses.replace(SETTINGS, pooling="mean"),
    "apart": dataclasses.replace(SETTINGS, pooling="siamese"),
}
MODEL_CONFIG = dataclasses.replace(
    CONFIG, num_hidden_layers=1, num_hidden_groups=1, inner_group_num=1
)


# Of transformers, without a task: what they answer is in their config.json alone.
UNDECLARED = {
    "tags": functools.partial(
        classifier, 3, labels=("b", "a", "c"), problem_type="multi_label_classification"
    ),
    "choices": multiple_choice,
}

SaveModel = Callable[[str, Path], Path]
"""Writes a model of a kind into a folder.

The kind is a name of `TASKS_BY_NAME` or `UNDECLARED`, or `pretrained`.
"""
Export = Callable[[str, ExportFormat], Path]
"""Returns the folder of a kind's model in a format."""


def save_task_model(folder: Path, task: Task, tokenizer: Tokenizer) -> Path:
    """Write a model for a task as exports hold it; no weights of its head are 0."""
    keras.utils.set_random_seed(3)
    settings = SETTINGS_BY_NAME.get(task.name, SETTINGS)
    model = new_task_model(task, settings, MODEL_CONFIG)
    if settings is not SETTINGS:
        draw_head(model)
    save_folder(of_model(model, tokenizer=tokenizer), folder)
    write_json(folder / TASK_NAME, dataclasses.asdict(task))
    write_json(folder / FINETUNING_NAME, dataclasses.asdict(settings))
    return folder


def save_pretrained_model(folder: Path, tokenizer: Tokenizer, **more: Any) -> Path:
    """Write a model with the heads of pretraining."""
    keras.utils.set_random_seed(3)
    model = AlbertForPreTraining(MODEL_CONFIG)
    save_folder(of_model(model, tokenizer=tokenizer, **more), folder)
    return folder


def save_undeclared_model(folder: Path, kind: str, tokenizer: Tokenizer) -> Path:
    """Write a model of `UNDECLARED` as transformers holds it."""
    keras.utils.set_random_seed(3)
    save_huggingface(UNDECLARED[kind](config=MODEL_CONFIG, tokenizer=tokenizer), folder)
    return folder
