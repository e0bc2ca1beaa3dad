"""Kill commands at every call that changes files, one after the other, and run them again.

Run by hand: `make power-cuts`, or `.venv/bin/python -m tests.power_cuts [command...] [--every N]`;
in parts with `--first N --minutes M`, which prints the number to go on from. Prints a line for each
command: how many places it was killed at, after how many the same command failed, ended with other
bytes, or left something beside its output, and each of these. Ends with status 1 if there is any.
Calls of Python count: those that make, open for writing, flush, rename, link or remove a file.
Children of a command, such as the steps of a run, are not killed by it, but end by themselves.
"""

import argparse
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import yaml

from pipeline.cli.main import main as albert
from tests.helpers.power_cuts import KILLED, call_in_fork
from tests.helpers.stopped_work import contents, make_inputs
from tests.helpers.tiny_run import TINY_CONFIG, write_tasks

PRELOADED = (
    "albert_core.inference",
    "albert_core.inference.file_prediction",
    "components.export.single_model",
    "components.finetune.step",
    "components.pretrain.step",
    "components.records.step",
    "components.report.step",
    "components.vocab.step",
)
# Folders of the user's own among the temporary files, which are kept for later commands.
_KEPT = ("albert-fetched-", "albert-work-", "albert-uploads-", "albert-temporary-")

# TensorFlow gives each a random number; card and proof tell the size of its files, which varies.
_RANDOM = "out/saved_model/"

_MOST_PLACES = 1_000_000
_FEW_STEPS = {"num_train_steps": 6, "num_warmup_steps": 2, "evaluation_interval_steps": 3}
_NEED_OUTPUTS = {"evaluate", "report"}
_OUTPUTS = {"pretrain": "pretrained", "finetune": "finetuned", "evaluate": "evaluated"}


def make_commands(inputs: Path, output: str = "out") -> Mapping[str, Sequence[str]]:
    """Return the commands by name.

    Args:
        inputs: Folder as `prepare` makes it.
        output: What they make, less the ending of files.
    """
    model, corpus = str(inputs / "tiny/model"), str(inputs / "text/text.txt")
    data = ("--vocab_dir", str(inputs / "tiny/vocab"), "--records_dir", str(inputs / "records"))
    settings = ("--config", str(inputs / "tiny.yaml"))
    few_steps = (f"--pretraining.{name}={value}" for name, value in _FEW_STEPS.items())
    tasks, of_cola = ("--data_dir", str(inputs / "tasks-of-run")), ("--task", "cola")
    pretrained, finetuned, evaluated = (str(inputs / name) for name in _OUTPUTS.values())
    folders = (*data, "--pretrained_dir", pretrained, "--finetuned_dirs", finetuned)
    to = ("--output", output)
    return {
        "vocab": ("vocab", *settings, "--corpus.files", corpus, *to),
        "records": ("records", *settings, "--corpus.files", corpus, *data[:2], *to),
        "card": ("card", model, *to),
        "convert": ("convert", model, output, "--to", "huggingface"),
        "predict": ("predict", model, str(inputs / "texts.txt"), "--output", f"{output}.jsonl"),
        "embed": ("embed", model, str(inputs / "texts.txt"), "--output", f"{output}.npy"),
        "export": ("export", model, "--to", "huggingface,tf1", *to),
        "pretrain": ("pretrain", *settings, *few_steps, *data, *to),
        "finetune": ("finetune", *settings, *tasks, *of_cola, "--pretrained_dir", model, *to),
        "evaluate": ("evaluate", *tasks, "--finetuned_dirs", finetuned, *to),
        "report": ("report", *folders, "--evaluation_dirs", evaluated, *to),
        "run": ("run", *settings, "--corpus.files", corpus, *to),
    }


def prepare(folder: Path, names: Collection[str]) -> None:
    """Make what the commands of these names read."""
    make_inputs(folder)
    write_tasks(folder / "tasks-of-run")
    config = {**TINY_CONFIG, "tasks": ["cola"], "data_dir": str(folder / "tasks-of-run")}
    config["pretraining"] = {**TINY_CONFIG["pretraining"], "num_train_steps": 100}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(config))
    (folder / "texts.txt").write_text("The ship [MASK] slowly.\n" * 5)
    if _NEED_OUTPUTS & set(names):
        for name, output in _OUTPUTS.items():
            assert albert(make_commands(folder, str(folder / output))[name]) == 0


def main() -> int:
    """Try all commands but `run`, or those named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commands", nargs="*", help="else all but run, of which one takes minutes")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every n-th place")
    parser.add_argument("--first", type=int, default=1, metavar="N", help="begin at this place")
    parser.add_argument("--minutes", type=float, default=math.inf, help="for each command at most")
    options = parser.parse_args()
    for module in PRELOADED:
        __import__(module)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commands = make_commands(folder / "inputs")
        names = options.commands or [name for name in commands if name != "run"]
        prepare_in_fork(folder, names)
        places = range(options.first, _MOST_PLACES, options.every)
        limit_s = 60 * options.minutes
        return int(sum(cut(n, commands[n], folder / n, places, limit_s) for n in names) > 0)


def prepare_in_fork(folder: Path, names: Collection[str]) -> None:
    """Make what the commands read in `inputs` of a folder, in a fork.

    TensorFlow must not have worked in the process that is forked again.
    """
    log = folder / "log"
    status = call_in_fork(lambda: prepare(folder / "inputs", names), log=log)
    assert status == 0, log.read_text()


def cut(
    name: str, command: Sequence[str], folder: Path, places: Iterable[int], limit_s: float
) -> int:
    """Kill a command at places, run it again each time, and return how often it did not end well.

    Args:
        name: Of the command, for the lines that are printed.
        command: Its arguments.
        folder: Folder to make; removed in the end.
        places: Numbers of calls, from 1, in rising order; those after the command's last do not
            count.
        limit_s: No place is tried after so many seconds.
    """
    began = time.monotonic()
    assert _run(command, folder / "whole") == 0, (folder / "whole/log").read_text()
    expected = read_result(folder / "whole")
    num_places = num_wrong = 0
    for number in places:
        if time.monotonic() - began > limit_s:
            print(f"{name} | go on with --first {number}", flush=True)
            break
        case = folder / "case"
        shutil.rmtree(case, ignore_errors=True)
        if _run(command, case, killed_at=number) != KILLED:
            break
        num_places += 1
        status = _run(command, case)
        lines = (case / "log").read_text().splitlines()
        wrong = (
            f"status {status}: {lines[-1:]}"
            if status
            else describe_difference(expected, read_result(case))
        )
        num_wrong += bool(wrong)
        if wrong:
            print(f"{name} | killed at {number} | {wrong}", flush=True)
    seconds = time.monotonic() - began
    print(f"{name} | {num_places} places | {num_wrong} wrong | {seconds:.0f} s", flush=True)
    shutil.rmtree(folder)
    return num_wrong


def _run(command: Sequence[str], case: Path, *, killed_at: int = 0) -> int:
    """Run a command in a folder, with temporary files in a folder of its own there."""

    def run() -> int:
        os.chdir(case / "place")
        os.environ["TMPDIR"] = str(case / "tmp")
        tempfile.tempdir = None
        return albert(command)

    for name in ("place", "tmp"):
        (case / name).mkdir(parents=True, exist_ok=True)
    return call_in_fork(run, killed_at=killed_at, log=case / "log")


def read_result(case: Path) -> dict[str, str]:
    """Return hashes of the files, less times, and names of folders that a command left.

    Of a run only the places, not what is below `artifacts`, `work` and the like: its folder keeps
    what each attempt made.
    """
    names = {
        path.relative_to(case).as_posix(): ""
        for folder in (case / "place", case / "tmp")
        for path in folder.rglob("*")
        # TensorBoard names its files after the time and the process.
        if not path.name.startswith((*_KEPT, "events.out.tfevents"))
    }
    if (case / "place/out/config.yaml").exists():
        out, depths = case / "place/out", ("*", "*/*", "*/*/*")  # export/TASK/FORMAT is deepest
        places = [path for depth in depths for path in out.glob(depth) if path.is_symlink()]
        hashes = {
            f"{path.relative_to(out)}/{name}": value
            for path in places
            for name, value in contents(path.resolve()).items()
        }
        return {**hashes, **{n: "" for n in names if n.count("/") < 2 or ".partial" in n}}
    files = {n: value for n, value in contents(case / "place").items() if _RANDOM not in n}
    return {**names, **{f"place/{name}": value for name, value in files.items()}}


def describe_difference(expected: Mapping[str, str], result: Mapping[str, str]) -> str:
    left, lost = sorted(result.keys() - expected.keys()), sorted(expected.keys() - result.keys())
    other = [name for name, value in result.items() if expected.get(name, value) != value]
    parts = {"leaves": left, "lacks": lost, "other bytes in": other}
    return "; ".join(f"{text} {', '.join(names)}" for text, names in parts.items() if names)


if __name__ == "__main__":
    sys.exit(main())
