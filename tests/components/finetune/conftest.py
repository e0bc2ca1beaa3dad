"""What the tests of fine-tuning share: tasks, a model, and a fine-tuning of a few steps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from albert_core.artifacts.manifest import Manifest
from components.finetune.step import finetune
from tests.helpers.eager import functions_run_eagerly
from tests.helpers.finetuning_cases import InterruptedHereError
from tests.helpers.tiny_tasks import (
    SHORT,
    TINY_TASKS,
    tiny_finetuning,
    weights_of,
    write_tiny_model,
    write_tiny_tasks,
)

MOST_EAGER_STEPS = 8


@pytest.fixture(scope="session")
def tasks(tmp_path_factory) -> Path:
    return write_tiny_tasks(tmp_path_factory.mktemp("tasks"))


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def tune(tasks, model, tmp_path):
    """Fine-tune on a task by name, into a folder of that name; the encoder is not probed.

    Texts are cut so short that all batches have one length, which TensorFlow traces once. A few
    steps are made without tracing.
    """

    def run(name: str, *, output: str | None = None, **settings: Any) -> Manifest:
        options = {
            "initialization": settings.pop("initialization", "pretrained"),
            "pretrained": settings.pop("pretrained", model),
            "task": settings.pop("task", TINY_TASKS[name]),
            "data": settings.pop("data", tasks / name),
            "progress": settings.pop("progress", lambda done, total, text: None),
        }
        cheap = {"sequence_length": SHORT, "num_probe_examples": 0}
        config = tiny_finetuning(**{**cheap, **settings})
        with functions_run_eagerly(config.num_train_steps <= MOST_EAGER_STEPS):
            return finetune(config=config, output=tmp_path / (output or name), **options)

    return run


@pytest.fixture
def ends_alike(tune, tmp_path):
    """Interrupt a fine-tuning, continue it, and compare with one in the folder `undisturbed`.

    The function takes one of the steps done and the line told, which says whether to interrupt, and
    the settings; it returns whether all weights have the same bits.
    """

    def run(is_due: Callable[[int, str], bool], **settings: Any) -> bool:
        def interrupt(done: int, total: int, text: str) -> None:
            if is_due(done, text):
                raise InterruptedHereError

        with pytest.raises(InterruptedHereError):
            tune("topic", output="disturbed", progress=interrupt, **settings)
        tune("topic", output="disturbed", **settings)
        undisturbed, disturbed = (weights_of(tmp_path / n) for n in ("undisturbed", "disturbed"))
        return all(np.array_equal(undisturbed[key], disturbed[key]) for key in undisturbed)

    return run
