"""Say in one line which files a task is read from, in which formats, and which labels it has."""

from collections.abc import Mapping
from pathlib import Path

from albert_core.tasks.reading import SPLITS, existing_files
from albert_core.tasks.source import COMMA, Source, Split
from albert_core.tasks.tables import find_format
from albert_core.tasks.task import Task

_MAX_SHOWN_LABELS = 20
_TITLES: Mapping[str, str] = {
    "tsv": "TSV",
    "csv": "CSV",
    "jsonl": "JSON lines",
    "parquet": "Parquet",
    "squad": "SQuAD's JSON",
    "race": "RACE's JSON",
    "conll": "CoNLL's columns",
}


def describe_files(task: Task, folder: Path) -> str:
    """Return the files of each split with their formats, and how a dev set is split off.

    As in `train: train-*-of-00002.parquet (Parquet, 2 files); dev: 10 % of these rows, split off by
    label with seed 12345; test: test.csv (CSV, without labels)`. Files that are not there are left
    out. Labels that are not declared come first: `labels: no, yes (from README.md); ...`.
    """
    parts = []
    if task.labels_from:
        num_others = len(task.labels) - _MAX_SHOWN_LABELS
        others = f" and {num_others} others" if num_others > 0 else ""
        shown = ", ".join(task.labels[:_MAX_SHOWN_LABELS])
        parts.append(f"labels: {shown}{others} (from {task.labels_from})")
    for split in SPLITS:
        if split == "dev" and task.splits_off_dev:
            parts.append(f"dev: {describe_dev_split(task)}")
        elif files := _describe_split(task, split, folder):
            parts.append(f"{split}: {files}")
    return "; ".join(parts)


def describe_dev_split(task: Task) -> str:
    """Return how the dev set of a task without dev files is split off its training rows.

    As in `10 % of the training rows, split off by label with seed 12345`; that there are no dev
    files is not checked.
    """
    by = {
        "regression": "by score",
        "question_answering": "by context",
        "multiple_choice": "by text",
        "token_classification": "by the types of entities",
    }.get(task.kind, "by label")
    return (
        f"{task.dev_fraction * 100:g} % of the training rows, split off {by} with seed "
        f"{task.dev_seed}"
    )


def _describe_split(task: Task, split: Split, folder: Path) -> str:
    """Return the files of a split that are there, with their formats; empty if there are none."""
    sources = [(source, existing_files(source, folder)) for source in task.sources(split)]
    return ", ".join(
        f"{source.file} ({_describe_format(task, source, paths)})"
        for source, paths in sources
        if paths
    )


def _describe_format(task: Task, source: Source, paths: list[Path]) -> str:
    """Return the format of a source's files, by the first, and what is notable about them."""
    file_format = find_format(task, source, paths[0])
    notes = [_TITLES.get(file_format, file_format)]
    if file_format == "csv" and source.delimiter != COMMA:
        notes.append(f"between {source.delimiter!r}")
    if len(paths) > 1:
        notes.append(f"{len(paths)} files")
    if not source.is_labelled:
        notes.append("without labels")
    return ", ".join(notes)
