"""Small models of every kind that can be served, untrained."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from albert_core.checkpoints import save_folder
from albert_core.checkpoints.checkpoint import FINETUNING_NAME, TASK_NAME
from albert_core.exports.formats import ExportFormat
from albert_core.files import write_json
from albert_core.finetuning.config import FinetuningConfig, QuestionConfig
from albert_core.finetuning.models import new_task_model
from albert_core.model import AlbertForPreTraining
from albert_core.tasks import TASKS, Task
from albert_core.tokenization import Tokenizer
from tests.helpers.checkpoint_samples import CONFIG, of_model
from tests.helpers.tiny_tasks import TINY_TASKS

TASKS_BY_NAME = {**TINY_TASKS, "race": TASKS["race"]}
QUESTIONS = QuestionConfig(doc_stride=6, max_query_length=8, n_best_size=4)
SETTINGS = FinetuningConfig(sequence_length=20, max_choice_length=8, questions=QUESTIONS)
MODEL_CONFIG = dataclasses.replace(
    CONFIG, num_hidden_layers=1, num_hidden_groups=1, inner_group_num=1
)


SaveModel = Callable[[str, Path], Path]
"""Writes a model of a kind (a name of `TASKS_BY_NAME`, or `pretrained`) into a folder."""
Export = Callable[[str, ExportFormat], Path]
"""Returns the folder of a kind's model in a format."""


def save_task_model(folder: Path, task: Task, tokenizer: Tokenizer) -> Path:
    """Write a model for a task as exports hold it."""
    keras.utils.set_random_seed(3)
    model = new_task_model(task, SETTINGS, MODEL_CONFIG)
    save_folder(of_model(model, tokenizer=tokenizer), folder)
    write_json(folder / TASK_NAME, dataclasses.asdict(task))
    write_json(folder / FINETUNING_NAME, dataclasses.asdict(SETTINGS))
    return folder


def save_pretrained_model(folder: Path, tokenizer: Tokenizer, **more: Any) -> Path:
    """Write a model with the heads of pretraining."""
    keras.utils.set_random_seed(3)
    model = AlbertForPreTraining(MODEL_CONFIG)
    save_folder(of_model(model, tokenizer=tokenizer, **more), folder)
    return folder
