"""Read files with seeded mistakes, and count how each was taken.

Run by hand: `.venv/bin/python -m tests.mutated_input [--seed N] [kind=number...]`, which reads
2,000 configurations, 2,000 task.yaml (with their rows), 2,000 tables, 500 events.jsonl, and tables
of resources, compiled pipelines and prices, in some minutes. Prints how many were accepted and
refused in one line. Ends with status 1 if anything else happened: another exception (a traceback,
to the user), or over ten seconds for one file. The suite tries a few of each.
"""

import collections
import contextlib
import csv
import io
import json
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonargparse
import pyarrow
import pyarrow.parquet
import rich.console
import yaml

from albert_core.corpus import CorpusConfig, check_corpus, corpus_documents
from albert_core.errors import InputError
from albert_core.finetuning.config import FinetuningConfig
from albert_core.finetuning.data_checks import check_task_data
from albert_core.progress import read_events
from albert_core.tasks import TASKS, find_task
from albert_core.tasks.declarations import read_task_file
from pipeline.config import to_values
from pipeline.config_files import read_config
from pipeline.local.progress_display import _ProgressBars, _ProgressLines
from tests.helpers import mutated_platform_files
from tests.helpers.mutated_platform_files import Kind
from tests.helpers.mutations import mutate_bytes, mutate_yaml

ROOT = Path(__file__).resolve().parents[1]
LIMIT_S = 10
_NUMBERS = {
    **{"configuration": 2000, "task": 2000, "table": 2000, "events": 500},
    **{"resources": 500, "package": 500, "prices": 200},
}
ACCEPTED, REFUSED = "accepted", "refused in one line"


class _TooLongError(BaseException):
    """A file took longer than `LIMIT_S`."""


def main() -> int:
    """Read files of every kind, or of those named on the command line with their numbers."""
    arguments = sys.argv[1:]
    seed = int(arguments[arguments.index("--seed") + 1]) if "--seed" in arguments else 1
    numbers = {name: int(number) for name, _, number in (a.partition("=") for a in arguments) if _}
    is_wrong = False
    for kind, number in (numbers or _NUMBERS).items():
        began = time.monotonic()
        outcomes, wrong = try_files(kind, number, seed=seed)
        counts = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(outcomes.items()))
        print(f"{kind}: {number:,} files, {counts} ({time.monotonic() - began:.0f} s)", flush=True)
        print("\n".join(wrong[:20]), file=sys.stderr)
        is_wrong |= bool(wrong)
    return int(is_wrong)


def try_files(kind: str, number: int, *, seed: int) -> tuple[collections.Counter[str], list[str]]:
    """Read files of a kind with mistakes.

    Returns:
        How often each outcome was; and a description of each that is neither of the good ones.
    """
    outcomes: collections.Counter[str] = collections.Counter()
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        make, read = KINDS[kind](Path(name))
        for index in range(number):
            data = make(random.Random(f"{seed} {kind} {index}"))
            outcome, detail = _outcome(lambda data=data: read(data))
            outcomes[outcome] += 1
            if outcome not in (ACCEPTED, REFUSED):
                wrong.append(f"{kind} {index} (seed {seed}): {outcome}: {detail}")
    return outcomes, wrong


def _outcome(read: Callable[[], object]) -> tuple[str, str]:
    """Return how a file was taken, and what was wrong with that."""
    try:
        with _time_limit(), contextlib.redirect_stderr(io.StringIO()):
            read()
    except (InputError, jsonargparse.ArgumentError) as error:
        # The command prints both in one line; what names no thing is no message.
        return (REFUSED, "") if len(str(error)) > 10 else ("refused without a reason", repr(error))
    except _TooLongError:
        return f"over {LIMIT_S} s", ""
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)[-3:]
        places = " > ".join(f"{frame.filename}:{frame.lineno}" for frame in frames)
        return "traceback", f"{type(error).__name__}: {str(error)[:200]} at {places}"
    return ACCEPTED, ""


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    """Raise `_TooLongError` in the body after `LIMIT_S` seconds."""

    def stop(*_: object) -> None:
        raise _TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _configurations(folder: Path) -> Kind:
    """Return what makes a configuration with mistakes, and what a command does with it first."""
    paths = sorted((ROOT / "pipeline" / "configs").glob("*.yaml"))
    documents = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in paths]
    documents += [{"checkpoint": "base", "tasks": ["cola"]}, _defaults()]
    path = folder / "run.yaml"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        config = read_config(path)
        json.dumps(to_values(config))
        for task in ("cola", "squad2", "race"):
            config.finetuning.for_task(TASKS[task]).trials()
        config.records_jobs()

    return lambda rng: mutate_yaml(rng.choice(documents), rng), read


def _defaults() -> dict[str, Any]:
    """Return a configuration with every section and setting."""
    from pipeline.config import RunConfig

    return json.loads(json.dumps(to_values(RunConfig())))


_DECLARATIONS: tuple[Mapping[str, Any], ...] = (
    {
        "name": "own",
        "texts": ["text"],
        "label": "label",
        "labels": ["no", "yes"],
        "metrics": ["accuracy", "f1"],
        "train": {"file": "train.jsonl", "id": "id"},
        "dev": [{"file": "dev.jsonl", "name": "a"}, {"file": "train.jsonl", "name": "b"}],
        "test": {"file": "test.tsv", "texts": [1], "is_labelled": False, "id": 0},
        "recipe": {"learning_rate": 1e-5, "num_epochs": 2},
        "paper_scores": {"BERT": 80.1},
        "bad_rows": "leave_out",
    },
    {
        "name": "own",
        "kind": "multiple_choice",
        "texts": ["text", "choices"],
        "label": "label",
        "metrics": ["accuracy"],
        "train": "choices.jsonl",
        "dev": "choices.jsonl",
    },
    {
        "name": "own",
        "kind": "question_answering",
        "train": "squad.json",
        "dev": "squad.json",
        "metrics": ["f1", "exact"],
        "has_unanswerable": True,
    },
    {
        "name": "own",
        "kind": "token_classification",
        "labels": ["O", "B-PER", "I-PER"],
        "metrics": ["f1", "macro_f1", "accuracy"],
        "label": -1,
        "train": {"file": "train.conll", "texts": [0]},
        "dev": {"file": "tags.jsonl", "texts": ["words"], "label": "tags"},
        "test": {"file": "train.conll", "is_labelled": False},
    },
)


def _tasks(folder: Path) -> Kind:
    """Return what makes a declaration with mistakes, and what reads it and the task's rows."""
    rows = [{"id": n, "text": f"Row {n}.", "label": ("no", "yes")[n % 2]} for n in range(4)]
    for name in ("train", "dev"):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    choices = {"text": "It rains", "choices": ["now.", "never."], "label": 0}
    (folder / "choices.jsonl").write_text(json.dumps(choices) + "\n", encoding="utf-8")
    (folder / "test.tsv").write_text("id\ttext\n0\tRow.\n", encoding="utf-8")
    (folder / "train.conll").write_text("-DOCSTART- O\n\nAnn B-PER\nLee I-PER\n\nran O\n")
    tags = {"words": ["Ann", "ran"], "tags": ["B-PER", 0]}
    (folder / "tags.jsonl").write_text(json.dumps(tags) + "\n", encoding="utf-8")
    answers = [{"text": "tide", "answer_start": 4}]
    question = {"id": "q", "question": "What is late?", "answers": answers}
    paragraph = {"context": "The tide is late.", "qas": [question]}
    squad = {"data": [{"paragraphs": [paragraph]}]}
    (folder / "squad.json").write_text(json.dumps(squad), encoding="utf-8")
    path = folder / "task.yaml"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        task = read_task_file(path)
        check_task_data(task, folder, FinetuningConfig().for_task(task), say=lambda _: None)

    return lambda rng: mutate_yaml(rng.choice(_DECLARATIONS), rng), read


def _tables(folder: Path) -> Kind:
    """Return what makes the rows of a task with mistakes, and what reads them as task and corpus.

    The first line of the made bytes is the name of the file.
    """
    rows = [{"id": n, "text": f'Row "{n}", no more.', "label": n % 2} for n in range(20)]
    table = io.StringIO(newline="")
    csv.writer(table).writerows([list(rows[0]), *(list(row.values()) for row in rows)])
    parquet = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), parquet)
    files = {
        "train.csv": table.getvalue().encode(),
        "train.tsv": table.getvalue().replace(",", "\t").encode(),
        "train.jsonl": "".join(json.dumps(row) + "\n" for row in rows).encode(),
        "train.parquet": parquet.getvalue(),
    }

    def make(rng: random.Random) -> bytes:
        name = rng.choice(sorted(files))
        return name.encode() + b"\n" + mutate_bytes(files[name], rng, rng.randint(0, 3))

    def read(data: bytes) -> None:
        name, _, content = data.partition(b"\n")
        path = folder / name.decode()
        path.write_bytes(content)
        for file in folder.glob("train.*"):
            if file != path:
                file.unlink()
        (folder / "task.yaml").write_text(
            "name: own\ntexts: text\nlabels: [0, 1]\nmetrics: accuracy\ndev_fraction: 0.3\n"
        )
        config = CorpusConfig(files=(str(path),))
        collections.deque(corpus_documents(check_corpus(config, say=lambda _: None)), maxlen=0)
        task, found = find_task(str(folder / "task.yaml"), folder)
        check_task_data(task, found, FinetuningConfig().for_task(task), say=lambda _: None)

    return make, read


def _events(folder: Path) -> Kind:
    """Return what makes a file of events with mistakes, and what shows them on a terminal."""
    steps = ("vocab", "records", "finetune cola")
    events = [
        {"time": 1.0 + n, "step": step, "event": kind, **values}
        for step in steps
        for n, (kind, values) in enumerate(
            (
                ("started", {}),
                ("progress", {"done": 1, "total": 4, "text": "loss 1"}),
                ("failed", {"message": "no", "is_bad_input": True}),
                ("finished", {}),
            )
        )
    ]
    data = "".join(json.dumps(event) + "\n" for event in events).encode()
    path = folder / "events.jsonl"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        console = rich.console.Console(file=io.StringIO(), force_terminal=True, width=80)
        for display in (_ProgressLines(console), _ProgressBars(console)):
            with display:
                for event in read_events(path):
                    display.show(event)

    def make(rng: random.Random) -> bytes:
        if rng.random() < 0.5:
            return mutate_bytes(data, rng, rng.randint(1, 4))
        lines = [json.loads(line) for line in data.splitlines()]
        changed = yaml.safe_load(mutate_yaml(lines, random.Random(rng.random())))
        return "".join(json.dumps(line, default=str) + "\n" for line in changed).encode()

    def make_any(rng: random.Random) -> bytes:
        with contextlib.suppress(yaml.YAMLError, TypeError, ValueError):
            return make(rng)
        return mutate_bytes(data, rng)

    return make_any, read


KINDS: Mapping[str, Callable[[Path], Kind]] = {
    "configuration": _configurations,
    "task": _tasks,
    "table": _tables,
    "events": _events,
    "resources": mutated_platform_files.resources,
    "package": mutated_platform_files.package,
    "prices": mutated_platform_files.prices,
}


if __name__ == "__main__":
    sys.exit(main())
