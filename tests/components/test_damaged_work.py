"""Work that was damaged while it lay stopped: named, made again, and the same bytes in the end.

`tests/damaged_work.py` tries every file and damage; here are the ones that only a whole step shows.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from albert_core.records.documents import HELD_OUT_SHARD
from tests.helpers.eager import functions_run_eagerly
from tests.helpers.stopped_work import (
    Inputs,
    contents,
    do_work,
    finish_work,
    make_inputs,
    swap,
    work_files,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Inputs:
    return make_inputs(tmp_path_factory.mktemp("inputs"))


def the_only(work: Path, pattern: str) -> Path:
    (path,) = work.glob(f"*/{pattern}")
    return path


def change_array(path: Path) -> None:
    """Change a value in a file of numpy; the file stays a valid one."""
    array = np.load(path).copy()
    array[0] += 1
    np.save(path, array)


def change_weights(path: Path) -> None:
    """Change all values in a file of safetensors; it stays a valid one."""
    arrays = safetensors.numpy.load_file(path)
    safetensors.numpy.save_file({name: array + 1 for name, array in arrays.items()}, path)


def remove_key(path: Path, key: str) -> None:
    values = json.loads(path.read_text())
    del values[key]
    path.write_text(json.dumps(values))


def spoil_records(work: Path) -> list[str]:
    """Shorten a shard, change a document and an index, and give a shard the counts of another."""
    (encoded,) = (path for path in work.glob("*/progress/encoded-*") if path.suffix != ".json")
    data = bytearray(encoded.read_bytes())
    data[100] ^= 1
    encoded.write_bytes(data)
    shard = the_only(work, "progress/train-00000*.tfrecord")
    shard.write_bytes(shard.read_bytes()[:-20])
    swap(the_only(work, "progress/train-00001*.v3.json"), the_only(work, "progress/held_out*.json"))
    remove_key(the_only(work, "progress/pairs-v1-0.json"), "examples")
    return ["encoded-v3-", "pairs-v1-0", "train-00000", "train-00001"]


def spoil_pretraining(work: Path) -> list[str]:
    """Take the step from the newest state, and change a number in the log."""
    newest = max(work.glob("*/progress/checkpoint-*"))
    remove_key(newest / "state.json", "step")
    log = the_only(work, "progress/training_log.jsonl")
    log.write_text(log.read_text().replace('"loss": ', '"loss": 1', 1))
    return [newest.name, "training_log.jsonl"]


def spoil_finetuning(work: Path) -> list[str]:
    """Change ids and targets of the features, and the best weights of the finished training."""
    features = the_only(work, "*/features.json").parent
    change_array(features / "ids.npy")
    change_array(features / "target-target.npy")
    finished = min(work.glob("*/progress/rate-*"))
    for best in finished.glob("best-*.safetensors"):
        change_weights(best)
    return [features.name, "seed-2"]


SPOILS: dict[str, Callable[[Path], list[str]]] = {
    "records": spoil_records,
    "pretrain": spoil_pretraining,
    "finetune": spoil_finetuning,
}


@pytest.mark.parametrize("step", SPOILS)
def test_damaged_work_is_named_and_ends_with_the_same_bytes(step, inputs, tmp_path, capfd):
    with functions_run_eagerly(step == "finetune"):  # of two steps
        stopped, output = do_work(step, inputs, tmp_path, seed=2)
    expected = contents(output)
    work = tmp_path / "damaged" / "work"
    shutil.move(stopped, work)
    names = SPOILS[step](work)
    before = inodes(work)
    kept = set()

    def look() -> None:
        kept.update(dict(inodes(work).items() & before.items()))

    assert ": damaged (" not in capfd.readouterr().err
    with functions_run_eagerly(step == "finetune"):
        output = finish_work(step, inputs, work.parent, seed=2, in_the_middle=look)
    assert contents(output) == expected
    said = [line for line in capfd.readouterr().err.splitlines() if ": damaged (" in line]
    for name in names:
        assert any(name in line for line in said), (name, said)
    # No more is made again than was damaged.
    assert len(said) == len(names)
    if step == "records":
        names = {name.rpartition("/")[2].partition(".")[0] for name in kept}
        assert names == {HELD_OUT_SHARD, "pairs-v1-1"}


def inodes(work: Path) -> dict[str, int]:
    return {name: (work / name).stat().st_ino for name in work_files(work)}
