"""Training checkpoints: whole or not there, damaged ones left out, those before kept."""

import contextlib
import json
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from albert_core.config import AlbertConfig
from albert_core.errors import InputError, StepFailedError
from albert_core.files.atomic import sha256_of_file, write_json
from albert_core.model import AlbertForPreTraining, weights_by_name
from albert_core.model.weights import read_weights, write_weights
from albert_core.optimizers.factory import make_optimizer
from albert_core.optimizers.settings import OptimizerName
from albert_core.training.best_weights import OLD_BEST_NAME, copy_best, write_best
from albert_core.training.checkpoint import restore_latest, save_checkpoint
from albert_core.training.log import LOG_NAME, recover_log
from albert_core.training.state import TrainingState

pytestmark = pytest.mark.backends

SIZES = {
    "vocab_size": 50,
    "embedding_size": 8,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}


def new_model(
    optimizer_name: OptimizerName = "lamb",
    *,
    bias_correction: bool = False,
    ema_decay: float | None = None,
    **changes: int,
) -> AlbertForPreTraining:
    model = AlbertForPreTraining(AlbertConfig(**{**SIZES, **changes}))
    optimizer = make_optimizer(
        optimizer_name,
        learning_rate=0.01,
        num_train_steps=9,
        num_warmup_steps=1,
        bias_correction=bias_correction,
        ema_decay=ema_decay,
    )
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


def test_what_somebody_keeps_beside_them_is_neither_restored_nor_removed(folder):
    shutil.copytree(folder / "checkpoint-000000001", folder / "checkpoint-before-the-change")
    (folder / "checkpoint-notes.txt").write_text("the rate was too high")
    model = new_model()
    assert restore_latest(folder, model).step == 3
    save_checkpoint(folder, model, TrainingState(step=4), keep=1)
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoint-000000004",
        "checkpoint-before-the-change",
        "checkpoint-notes.txt",
    ]


def test_an_old_one_that_cannot_be_removed_is_named_and_the_training_goes_on(folder, capsys):
    stuck = folder / "checkpoint-000000001"
    shutil.rmtree(stuck)
    stuck.touch()  # which is no folder, so that it is not removed as one
    model = new_model()
    fill(model, 4.0)
    save_checkpoint(folder, model, TrainingState(step=4), keep=1)
    assert sorted(path.name for path in folder.iterdir()) == [stuck.name, "checkpoint-000000004"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"albert: {stuck}: of an older checkpoint, and cannot be removed (Not")
    assert restore_latest(folder, model).step == 4


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


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """Let no file grow beyond 10 kB, as on a disk with no more room.

    Not a fixture: pytest reports a test before it ends its fixtures, and may write to a file, too.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_checkpoints_before(folder):
    model = new_model()
    before = sorted(path.name for path in folder.iterdir())
    message = r"cannot be written .* make room and run again"
    with full_disk(), pytest.raises(StepFailedError, match=message):
        save_checkpoint(folder, model, TrainingState(step=4), keep=1)
    with full_disk(), pytest.raises(StepFailedError, match=message):
        write_best(folder, 4, weights_by_name(model))
    assert sorted(path.name for path in folder.iterdir()) == before
    assert restore_latest(folder, model).step == 3


def test_every_variable_has_its_name(folder):
    model = new_model()
    names = {*weights_by_name(model), *model.optimizer.state_by_name()}
    assert {"global_step", "rate_factor", "bert/pooler/dense/kernel/adam_m"} <= names


def update(model: AlbertForPreTraining, *, seed: int) -> None:
    rng, weights = np.random.default_rng(seed), model.trainable_variables
    gradients = [rng.normal(size=weight.shape).astype("float32") for weight in weights]
    model.optimizer.apply([ops.convert_to_tensor(gradient) for gradient in gradients], weights)


def test_muon_with_bias_correction_and_averages_continues_with_the_same_bits(tmp_path):
    settings = {"bias_correction": True, "ema_decay": 0.9}
    whole, continued = (new_model("muon", **settings) for _ in range(2))
    for seed in (1, 2):
        update(whole, seed=seed)
    save_checkpoint(tmp_path, whole, TrainingState(step=2), keep=1)
    restore_latest(tmp_path, continued)
    for model in (whole, continued):
        update(model, seed=3)
    states = [{**weights_by_name(m), **m.optimizer.state_by_name()} for m in (whole, continued)]
    for name, value in states[0].items():
        np.testing.assert_array_equal(np.asarray(states[1][name]), np.asarray(value), err_msg=name)
    query = "bert/encoder/transformer/group_0/inner_group_0/attention_1/self/query/kernel"
    assert {f"{query}/muon_m", f"{query}/average"} <= states[0].keys()


def test_damaged_best_weights_that_are_averages_are_made_again(tmp_path, capsys):
    model = new_model(ema_decay=0.9)
    update(model, seed=1)
    best = write_best(tmp_path, 1, model.optimizer.averages_by_name())
    save_checkpoint(tmp_path, model, TrainingState(step=1, best=best), keep=1)
    path = tmp_path / best["file"]
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    restore_latest(tmp_path, model)
    assert path.read_bytes() == content
    assert "made again from checkpoint-000000001" in capsys.readouterr().err


def test_none_at_all_cannot_be_kept(folder):
    with pytest.raises(InputError, match="keep_checkpoints: got 0, expected 1 or more"):
        save_checkpoint(folder, new_model(), TrainingState(step=4), keep=0)


def evaluate_and_save(
    folder: Path, model: AlbertForPreTraining, *, work: str, best: int, offset: float = 0.0
) -> None:
    """Save after each of three evaluations, of which the `best`-th is the best; keep two."""
    folder.mkdir(exist_ok=True)
    state = TrainingState()
    for step in (1, 2, 3):
        fill(model, step + offset)
        state.step = step
        with (folder / LOG_NAME).open("a") as log:
            log.write(json.dumps({"global_step": step, "loss of this": work}) + "\n")
        state.history.append({"global_step": step})
        if step <= best:
            state.best = write_best(folder, step, weights_by_name(model))
        save_checkpoint(folder, model, state, keep=2, work=work)


@pytest.fixture(scope="module")
def model() -> AlbertForPreTraining:
    return new_model()


@pytest.fixture
def training(tmp_path, model) -> Path:
    """A training whose checkpoints of steps 2 and 3 are kept, and whose best one is that of 2."""
    evaluate_and_save(tmp_path / "training", model, work="training", best=2)
    evaluate_and_save(tmp_path / "other", model, work="other", best=2, offset=0.5)
    return tmp_path / "training"


def spoil(training: Path, name: str, how: str) -> None:
    path = training / name
    data = path.read_bytes()
    changed = {
        "flipped": data[:40] + bytes([data[40] ^ 1]) + data[41:],
        "cut": data[: len(data) // 2],
        "swapped": (training.with_name("other") / name).read_bytes(),
    }
    path.unlink()
    if how != "lost":
        path.write_bytes(changed[how])


NEWEST = "checkpoint-000000003"


@pytest.mark.parametrize("how", ["flipped", "cut", "swapped", "lost"])
@pytest.mark.parametrize(
    ("name", "step", "said"),
    [
        (f"{NEWEST}/state.json", 2, NEWEST),
        (f"{NEWEST}/variables.safetensors", 2, NEWEST),
        (f"{NEWEST}/{LOG_NAME}", 3, LOG_NAME),
        (LOG_NAME, 3, LOG_NAME),
        ("best-000000002.safetensors", 3, "made again from checkpoint-000000002"),
    ],
)
def test_any_damaged_file_is_named_and_no_more_than_needed_is_lost(
    name, step, said, how, training, model, capsys
):
    weights, log = ((training / n).read_bytes() for n in ("best-000000002.safetensors", LOG_NAME))
    spoil(training, name, how)
    state = restore_latest(training, model, work="training")
    recover_log(training, state)
    assert (state.step, values(model)) == (step, {float(step)})
    assert said in capsys.readouterr().err
    copy_best(training, state.best, training / "copy")
    assert (training / "copy").read_bytes() == weights
    assert log.startswith((training / LOG_NAME).read_bytes())
    assert len((training / LOG_NAME).read_text().splitlines()) == state.step


def test_a_state_without_its_step_is_damaged(training, model):
    path = training / NEWEST / "state.json"
    state = json.loads(path.read_text())
    del state["step"]
    path.write_text(json.dumps(state))
    assert restore_latest(training, model, work="training").step == 2


def test_a_checkpoint_under_the_name_of_another_step_is_damaged(training, model):
    (training / NEWEST).rename(training / "checkpoint-000000007")
    assert restore_latest(training, model, work="training").step == 2


def test_best_weights_that_no_checkpoint_has_cost_the_steps_since_then(tmp_path, model, capsys):
    evaluate_and_save(tmp_path, model, work="a", best=1)
    fill(model, 9.0)
    write_weights(tmp_path / "best-000000001.safetensors", weights_by_name(model))
    assert restore_latest(tmp_path, model, work="a").step == 0
    assert values(model) == {9.0}  # untouched
    assert capsys.readouterr().err.count("best-000000001.safetensors holds something else") == 2


def test_best_weights_that_are_damaged_at_the_end_are_not_published(training, model, tmp_path):
    state = restore_latest(training, model, work="training")
    spoil(training, "best-000000002.safetensors", "flipped")
    with pytest.raises(StepFailedError, match=r"best-000000002\.safetensors: damaged .* run again"):
        copy_best(training, state.best, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.fixture
def old_training(training) -> Path:
    """A training as earlier versions left it: without checksums of state, best weights and log."""
    (training / "best-000000002.safetensors").rename(training / OLD_BEST_NAME)
    for path in training.glob("checkpoint-*"):
        state = json.loads((path / "state.json").read_text())
        for name in ("best", "checksum", "compute", "log", "timings", "variables", "work"):
            del state[name]
        (path / LOG_NAME).unlink()
        state["sha256"] = sha256_of_file(path / "variables.safetensors")
        write_json(path / "state.json", state)
    return training


def test_a_training_of_an_earlier_version_is_continued_with_a_line(old_training, model, capsys):
    weights = (old_training / OLD_BEST_NAME).read_bytes()
    state = restore_latest(old_training, model, work="training")
    recover_log(old_training, state)
    assert (state.step, values(model)) == (3, {3.0})
    assert f"{NEWEST}: of an earlier version, which wrote no checksum" in capsys.readouterr().err
    state.step = 4
    save_checkpoint(old_training, model, state, keep=1, work="training")
    state = restore_latest(old_training, model, work="training")
    copy_best(old_training, state.best, old_training / "copy")
    assert (old_training / "copy").read_bytes() == weights
    (old_training / OLD_BEST_NAME).write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    assert restore_latest(old_training, model, work="training").step == 0


@pytest.mark.parametrize("damage", ["no step", "unknown name", "best of another model", "log"])
def test_what_can_be_noticed_of_an_earlier_version_is(damage, old_training, model, capsys):
    path = old_training / NEWEST / "state.json"
    state = json.loads(path.read_text())
    if damage == "best of another model":
        arrays = read_weights(old_training / OLD_BEST_NAME)
        arrays.popitem()
        write_weights(old_training / OLD_BEST_NAME, arrays)
    elif damage == "log":
        (old_training / LOG_NAME).write_bytes(b'{"global_step": 1}\n{"glob\xffl_step": 2}\n')
    else:
        state["stepp" if damage == "unknown name" else "seconds"] = state["step"]
        del state["step" if damage == "no step" else "num_roll_backs"]
        path.write_text(json.dumps(state))
    state = restore_latest(old_training, model, work="training")
    recover_log(old_training, state)
    assert state.step == {"best of another model": 0, "log": 3}.get(damage, 2)
    assert "damaged" in capsys.readouterr().err
    assert all("global_step" in line for line in (old_training / LOG_NAME).read_text().splitlines())
