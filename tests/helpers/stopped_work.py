"""Work of a step that was stopped in the middle, the ways to damage its files, and its end."""

import dataclasses
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from albert_core.artifacts.manifest import Manifest
from albert_core.corpus import CorpusConfig
from albert_core.corpus.cleaning import CleaningConfig
from albert_core.presets import ModelConfig
from albert_core.records.config import RecordsConfig
from components.finetune.step import finetune
from components.pretrain.step import pretrain
from components.records import step as records_step
from components.records.runners import BeamConfig
from tests.helpers.tiny_pretraining import OVERRIDES, tiny_config
from tests.helpers.tiny_run import write_corpus
from tests.helpers.tiny_tasks import (
    TINY_TASKS,
    tiny_finetuning,
    write_tiny_model,
    write_tiny_tasks,
)

RECORDS = RecordsConfig(sequence_length=24, held_out_fraction=0.05, num_shards=2)

# Depend on the clock: keys of JSON, and what a page shows of times and rates.
_TIMES = {
    *("seconds", "hours", "created", "steps_per_second", "tokens_per_second"),
    *("model_flops_utilization", "input_wait_fraction"),
}
_TIMES_OF_PAGE = re.compile(
    r"<time .*?</time>"
    r"|\b[\d,.]+ (?:s|min \d\d s|h \d\d min)\b"
    r"|(?<=width:)[\d.]+%"  # the bar of a step's time
    rf"|(?<=>)(?:{'|'.join(sorted(_TIMES))})</th><td>[^<]*"
)


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What the steps read.

    Attributes:
        corpus: Folder of the text.
        vocab: A vocabulary for it.
        records: Records made of both.
        tasks: Folder of the tasks' folders.
        model: An untrained model with that vocabulary.
    """

    corpus: Path
    vocab: Path
    records: Path
    tasks: Path
    model: Path


def run_records(
    inputs: Inputs, folder: Path, *, seed: int, in_the_middle: Callable[[], None]
) -> Manifest:
    """Make records in a folder, from the work in it; in the middle all of the work is there."""
    describe = records_step.describe_records

    def describe_later(*arguments: Any) -> Any:
        in_the_middle()
        return describe(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records_step, "describe_records", describe_later)
        return records_step.make_records(
            corpus=CorpusConfig(files=(str(inputs.corpus / "text.txt"),)),
            vocab=inputs.vocab,
            config=dataclasses.replace(RECORDS, seed=seed),
            cleaning=CleaningConfig(
                evaluation_sets={"set": (str(inputs.tasks / "whale"),)},
                near_duplicate_threshold=0.8,
            ),
            beam=BeamConfig(mode="in_memory"),
            output=folder / "output",
            work_root=folder / "work",
        )


def run_pretrain(
    inputs: Inputs, folder: Path, *, seed: int, in_the_middle: Callable[[], None]
) -> Manifest:
    """Pretrain in a folder, from the work in it; the middle is the second of three evaluations."""

    def report(done: int, total: int, text: str) -> None:
        if done == 4:
            in_the_middle()

    return pretrain(
        records=inputs.records,
        vocab=inputs.vocab,
        model=ModelConfig(preset="tiny", overrides=OVERRIDES),
        config=tiny_config(
            num_train_steps=6,
            evaluation_interval_steps=2,
            checkpoint_interval_steps=3,
            seed=seed,
        ),
        output=folder / "output",
        work_root=folder / "work",
        progress=report,
    )


def run_finetune(
    inputs: Inputs, folder: Path, *, seed: int, in_the_middle: Callable[[], None]
) -> Manifest:
    """Fine-tune with two seeds in a folder, from the work in it; the middle is in the second."""
    reports = []

    def report(done: int, total: int, text: str) -> None:
        reports.append(done)
        if reports[-1] == 1 and 2 in reports:
            in_the_middle()

    return finetune(
        task=TINY_TASKS["topic"],
        data=inputs.tasks / "topic",
        pretrained=inputs.model,
        initialization="pretrained",
        # So short that all batches have one length, which is compiled once.
        config=tiny_finetuning(
            num_train_steps=2, num_seeds=2, seed=seed, sequence_length=8 + seed % 2
        ),
        output=folder / "output",
        work_root=folder / "work",
        progress=report,
    )


RUNS: dict[str, Callable[..., Manifest]] = {
    "records": run_records,
    "pretrain": run_pretrain,
    "finetune": run_finetune,
}


def make_inputs(folder: Path) -> Inputs:
    """Make what the steps read, below a folder."""
    corpus = write_corpus(folder / "text")
    model = write_tiny_model(folder / "tiny")
    inputs = Inputs(
        corpus=corpus,
        vocab=folder / "tiny" / "vocab",
        records=folder / "records",
        tasks=write_tiny_tasks(folder / "tasks"),
        model=model,
    )
    records_step.make_records(
        corpus=CorpusConfig(files=(str(corpus / "text.txt"),)),
        vocab=inputs.vocab,
        config=RECORDS,
        output=inputs.records,
    )
    return inputs


def do_work(step: str, inputs: Inputs, folder: Path, *, seed: int) -> tuple[Path, Path]:
    """Run a step in a new folder; return a copy of its work in the middle, and its output."""
    stopped = folder / "stopped"

    def copy_work() -> None:
        shutil.rmtree(stopped, ignore_errors=True)  # reports by the clock come before
        shutil.copytree(folder / "work", stopped)

    RUNS[step](inputs, folder, seed=seed, in_the_middle=copy_work)
    return stopped, folder / "output"


def finish_work(
    step: str,
    inputs: Inputs,
    folder: Path,
    *,
    seed: int,
    in_the_middle: Callable[[], None] = lambda: None,
) -> Path:
    """Finish the work in a folder's `work`, as after a kill; return the output."""
    RUNS[step](inputs, folder, seed=seed, in_the_middle=in_the_middle)
    return folder / "output"


def work_files(work: Path) -> list[str]:
    """Return the files of stopped work that are read back, by relative path.

    The lock holds nothing, and files of TensorBoard are written again from the log.
    """
    return sorted(
        path.relative_to(work).as_posix()
        for path in work.rglob("*")
        if path.is_file() and path.name != "lock" and "tensorboard" not in path.parts
    )


def counterpart(name: str, other: Path) -> Path | None:
    """Return the file of other stopped work that has the place of a file, or None.

    Names that hold hashes, keys or steps are equal but for these.
    """
    wanted = _pattern(name)
    names = [other_name for other_name in work_files(other) if _pattern(other_name) == wanted]
    return other / names[-1] if names else None


def _pattern(name: str) -> str:
    return re.sub(r"[0-9a-f]{9,}|seed-[0-9]+", "*", name)


def flip(path: Path, _: Path | None) -> None:
    """Change one bit of a byte in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path, _: Path | None) -> None:
    """Leave the first half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def swap(path: Path, other: Path | None) -> None:
    """Put the file of another run in its place."""
    assert other
    path.write_bytes(other.read_bytes())


DAMAGES: dict[str, Callable[[Path, Path | None], None]] = {
    "flipped": flip,
    "cut": cut,
    "swapped": swap,
}


def contents(output: Path) -> dict[str, str]:
    """Return a hash of each file of an output, of logs less what depends on the clock."""
    return {
        path.relative_to(output).as_posix(): hashlib.sha256(_timeless(path)).hexdigest()
        for path in sorted(output.rglob("*"))
        if path.is_file() and path.name != "manifest.json" and "tensorboard" not in path.parts
    }


def _timeless(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".html":
        text = data.decode()
        assert text.rstrip().endswith("</html>"), f"{path} is cut off"
        return _TIMES_OF_PAGE.sub("", text).encode()
    if path.suffix not in (".json", ".jsonl") or path.name == "tokenizer.json":
        return data
    lines = data.splitlines() if path.suffix == ".jsonl" else [data]
    return json.dumps([_without_times(json.loads(line)) for line in lines]).encode()


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(_timeless_items(value))
    return [_without_times(item) for item in value] if isinstance(value, list) else value


def _timeless_items(value: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, item in value.items():
        if name not in _TIMES:
            yield name, _without_times(item)
