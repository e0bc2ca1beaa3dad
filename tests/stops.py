"""Stop commands at moments drawn by a seed, look how they end, and run them again.

Run by hand: `make stops`, or `.venv/bin/python -m tests.stops [command...] [--times N] [--seed N]`.
Prints a line for each command: how often it was stopped, the longest that it took to end, and how
often it ended wrongly: later than after five seconds, with another exit status than 130 (Ctrl-C) or
143 (SIGTERM) or those of a process that such a signal ended, with more or less than one line on
standard error since the signal, or with a process left; and how often the same command, run again,
failed or ended with other results. Ends with status 1 if there is any.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from albert_core.processes.stops import STOP_SIGNALS
from tests.helpers.stopped_commands import finish, stop_after
from tests.power_cuts import (
    PRELOADED,
    describe_difference,
    make_commands,
    prepare_in_fork,
    read_result,
)

_SECONDS_OF_SERVER = 8.0
_WITHOUT_END = ("serve",)
_LONG = ("run", "demo-data", "estimate", "export-graphs")
# Nobody answers there.
_SERVICES = {"STORAGE_EMULATOR_HOST": "http://localhost:9", "ALBERT_REGISTRY": "localhost:9/albert"}


def all_commands(inputs: Path) -> Mapping[str, Sequence[str]]:
    """Return the commands by name, with `out` for their output; `run` takes longest."""
    tasks = ("--data_dir", str(inputs / "tasks-of-run"), "--task", "cola")
    model = str(inputs / "tiny/model")
    settings, to = ("--config", str(inputs / "tiny.yaml")), ("--output", "out")
    in_bucket = ("--corpus.files", "gs://no-bucket/text.txt", "--data_dir", "gs://no-bucket/glue")
    questions = ("--data_dir", str(inputs / "questions"), "--task", "squad1")
    one_step = ("--finetuning.num_train_steps", "1", "--finetuning.num_evaluations", "1")
    return {
        **make_commands(inputs),
        "info": ("info", model),
        "demo-data": ("demo-data", *to),
        "probe": ("probe", model, *tasks),
        "serve": ("serve", model, "--port", "0"),
        "questions": ("finetune", *questions, *one_step, "--pretrained_dir", model, *to),
        "export-graphs": ("export", model, "--to", "saved_model,onnx_int8,litert", *to),
        "estimate": ("estimate", *settings, "--accelerator", "v5e-1"),
        "compile": (
            *("compile", "--target", "kubeflow", *settings, *in_bucket),
            *("--work_root", "gs://no-bucket/work", "--output", "out.yaml"),
        ),
    }


def write_questions(folder: Path, *, num_contexts: int = 60, num_words: int = 4000) -> None:
    """Write SQuAD's layout with contexts of which features take seconds to make.

    Every second is of syllables that the tiny vocabulary has no letters for.
    """
    rng = random.Random(3)
    paragraphs = []
    for number in range(num_contexts):
        letters = "abcdefghijklm" if number % 2 else [chr(0xAC00 + n) for n in range(2000)]
        words = ["".join(rng.choices(letters, k=3)) for _ in range(num_words)]
        answers = [{"text": words[0], "answer_start": 0}]
        questions = [{"id": f"q{number}", "question": "Where is it?", "answers": answers}]
        paragraphs.append({"context": " ".join(words), "qas": questions})
    folder.mkdir()
    for split in ("train", "dev"):
        data = {"version": "1.1", "data": [{"title": split, "paragraphs": paragraphs}]}
        (folder / f"{split}-v1.1.json").write_text(json.dumps(data), encoding="utf-8")


def main() -> int:
    """Try all commands but those of `_LONG`, or those named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commands", nargs="*", help="else all that take seconds")
    parser.add_argument("--times", type=int, default=4, metavar="N", help="stops of each command")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="draws the moments")
    options = parser.parse_args()
    for module in PRELOADED:
        __import__(module)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commands = all_commands(folder / "inputs")
        names = options.commands or [name for name in commands if name not in _LONG]
        prepare_in_fork(folder, names)
        write_questions(folder / "inputs/questions")
        os.environ.update(_SERVICES)
        rng = random.Random(options.seed)
        return int(
            sum(try_stops(n, commands[n], folder / n, rng, options.times) for n in names) > 0
        )


def try_stops(
    name: str, command: Sequence[str], folder: Path, rng: random.Random, num_stops: int
) -> int:
    """Stop a command again and again, and return how often it did not end as it should.

    Args:
        name: Of the command, for the lines that are printed.
        command: Its arguments.
        folder: Folder to make; removed in the end.
        rng: Draws the moments, from the command's start to where it ended by itself.
        num_stops: How often.
    """
    seconds, expected = _SECONDS_OF_SERVER, None
    if name not in _WITHOUT_END:
        began = time.monotonic()
        status = finish(command, folder / "whole")
        assert status == 0, (folder / "whole/log").read_text()
        seconds, expected = time.monotonic() - began, read_result(folder / "whole")
    num_wrong, longest_s = 0, 0.0
    for index in range(num_stops):
        number = STOP_SIGNALS[index % len(STOP_SIGNALS)]
        case, after_s = folder / "case", rng.uniform(0.0, seconds)
        shutil.rmtree(case, ignore_errors=True)
        stop = stop_after(command, case, after_s, number)
        if stop is None:  # it had ended before
            continue
        wrong = stop.describe_faults(number, has_result=True)
        if expected is not None and not wrong:
            status = finish(command, case) if stop.status else 0  # 0: it has its result already
            wrong = f"then status {status}" if status else ""
            wrong = wrong or describe_difference(expected, read_result(case))
        longest_s = max(longest_s, stop.seconds)
        num_wrong += bool(wrong)
        if wrong:
            print(f"{name} | {signal.Signals(number).name} after {after_s:.2f} s | {wrong}")
    ended = f"ended within {longest_s:.1f} s"
    print(f"{name} | {num_stops} stops | {ended} | {num_wrong} wrong", flush=True)
    shutil.rmtree(folder)
    return num_wrong


if __name__ == "__main__":
    sys.exit(main())
