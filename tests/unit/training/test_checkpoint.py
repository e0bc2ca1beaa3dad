"""Training checkpoints: whole or not there, damaged ones left out, those before kept."""

import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from albert_core.config import AlbertConfig
from albert_core.errors import InputError, StepFailedError
from albert_core.model import AlbertForPreTraining, weights_by_name
from albert_core.optimizers.factory import make_optimizer
from albert_core.training.checkpoint import TrainingState, restore_latest, save_checkpoint

pytestmark = pytest.mark.backends

SIZES = {
    "vocab_size": 50,
    "embedding_size": 8,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}


def new_model(**changes: int) -> AlbertForPreTraining:
    model = AlbertForPreTraining(AlbertConfig(**{**SIZES, **changes}))
    optimizer = make_optimizer("lamb", learning_rate=0.01, num_train_steps=9, num_warmup_steps=1)
    model.compile(optimizer=optimizer)
    model.optimizer.build(model.trainable_variables)
    return model


def fill(model: AlbertForPreTraining, value: float) -> None:
    for variable in (*model.weights, *model.optimizer.adam_m, *model.optimizer.adam_v):
        variable.assign(np.full(variable.shape, value, "float32"))


def values(model: AlbertForPreTraining) -> set[float]:
    variables = (*model.weights, *model.optimizer.adam_m, *model.optimizer.adam_v)
    return {float(value) for variable in variables for value in np.unique(np.asarray(variable))}


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder of three checkpoints, at steps 1 to 3, whose variables all hold the step."""
    model = new_model()
    for step in (1, 2, 3):
        fill(model, float(step))
        save_checkpoint(tmp_path, model, TrainingState(step=step), keep=3)
    return tmp_path


def variables_file(folder: Path, step: int) -> Path:
    return folder / f"checkpoint-{step:09d}" / "variables.safetensors"


def test_the_newest_is_taken_up(folder):
    model = new_model()
    state = restore_latest(folder, model)
    assert (state.step, state.num_lost_checkpoints, values(model)) == (3, 0, {3.0})


def test_only_so_many_are_kept(folder):
    save_checkpoint(folder, new_model(), TrainingState(step=4), keep=2)
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["checkpoint-000000003", "checkpoint-000000004"]


@pytest.mark.parametrize("damage", ["a flipped bit", "a missing end", "no state"])
def test_a_damaged_one_is_left_out_and_the_one_before_used(folder, damage):
    path = variables_file(folder, 3)
    content = bytearray(path.read_bytes())
    if damage == "a flipped bit":
        content[-100] ^= 1
        path.write_bytes(content)
    elif damage == "a missing end":
        path.write_bytes(content[:-100])
    else:
        path.with_name("state.json").unlink()
    model = new_model()
    state = restore_latest(folder, model)
    assert (state.step, state.num_lost_checkpoints, values(model)) == (2, 1, {2.0})
    assert not path.exists()


def test_when_all_are_damaged_training_begins_anew(folder):
    for step in (1, 2, 3):
        variables_file(folder, step).write_bytes(b"")
    state = restore_latest(folder, new_model())
    assert (state.step, state.num_lost_checkpoints) == (0, 3)


def test_another_architecture_is_refused_and_nothing_is_lost(folder):
    with pytest.raises(InputError, match="checkpoint-000000003"):
        restore_latest(folder, new_model(hidden_size=32))
    assert variables_file(folder, 3).exists()


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Let no file grow beyond 10 kB, as on a disk with no more room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_checkpoints_before(folder, full_disk):
    model = new_model()
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(StepFailedError, match=r"cannot be written .* make room and run again"):
        save_checkpoint(folder, model, TrainingState(step=4), keep=1)
    assert sorted(path.name for path in folder.iterdir()) == before
    assert restore_latest(folder, model).step == 3


def test_every_variable_has_its_name(folder):
    model = new_model()
    names = {*weights_by_name(model), *model.optimizer.state_by_name()}
    assert {"global_step", "rate_factor", "bert/pooler/dense/kernel/adam_m"} <= names
