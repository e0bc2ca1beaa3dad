"""Find the files of a task's splits by their names, as data sets of Hugging Face are laid out."""

import dataclasses
import io
import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from albert_core.errors import InputError
from albert_core.files.compression import COMPRESSION_ENDINGS, without_compression
from albert_core.files.globs import is_glob
from albert_core.row_formats import (
    open_parquet,
    read_conll_sentences,
    read_csv_cells,
    read_json_objects,
    read_tsv_cells,
)
from albert_core.tasks.rows import has_label_columns
from albert_core.tasks.source import FORMATS_BY_ENDING, Source, Split
from albert_core.tasks.squad_file import ANSWERS, has_answers
from albert_core.tasks.task import Task
from albert_core.tasks.text_files import open_unpacked_file

USUAL_FILES = ("train.tsv", "dev.tsv")
SHARDS_FOLDER = "data"  # below the folder of a data set on Hugging Face's hub

# `dev_matched` is looked for as `validation_matched`, too.
_DEV_NAMES = ("dev", "validation", "valid", "val", "eval")
_MORE_ENDINGS_OF_TAGS = (".txt", ".conllu")  # of files in CoNLL's columns
_NO_LABEL = (None, "", -1, "-1", -1.0, "-1.0")
_VERSION = re.compile(r"-v\d\.\d$")  # of SQuAD's files
# Several of one split, as `datasets` write them: train-00000-of-00002.parquet, some with a hash.
_SHARD = r"-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<hash>-[0-9a-f]{16})?"


@dataclasses.dataclass(frozen=True)
class _SplitFiles:
    """The files of a split: a glob for them, how many there are and should be."""

    pattern: str
    num_files: int
    num_expected: int


def with_found_files(
    task: Task, names: Sequence[str], undeclared: Collection[Split], *, folder: str
) -> Task:
    """Return a task whose sources name the files that are there.

    A file that is there by its published or usual name (`train.tsv`, `dev.tsv`) stays. If one is
    missing, and the split is among `undeclared`, others are looked for: named `train`, `validation`
    and other words for dev, or `test`, in place of published names like `train_few_all`, too, but
    not those of SQuAD's JSON; with the ending of any format; in shards; in the folder itself or in
    `data` below it. Test files are only looked for where other training or dev files
    were found, or no dev files of a task that declares none: earlier versions would have taken none
    otherwise.

    Args:
        task: The task.
        names: The files in the folder and in `data`, by their relative paths.
        undeclared: The splits that may have other files than the task says.
        folder: The folder, for messages.

    Returns:
        The task. A file that is not found stays as it is declared; a split without declared files
        then has no source.

    Raises:
        InputError: Several files could be those of a split, or a shard is missing.
    """
    train, dev, test = task.train, task.dev, task.test
    if "train" in undeclared:
        train = _find_sources(task, "train", names, folder)
    if "dev" in undeclared:
        dev = _find_sources(task, "dev", names, folder)
    usual_dev = task.dev or (Source(file=USUAL_FILES[1]),)
    is_unusual = train != task.train or ("dev" in undeclared and dev != usual_dev)
    if "test" in undeclared and is_unusual:
        test = _find_sources(task, "test", names, folder)
    return dataclasses.replace(task, train=train, dev=dev, test=test)


def _find_sources(
    task: Task, split: Split, names: Sequence[str], folder: str
) -> tuple[Source, ...]:
    """Return the sources of a split with the files that are there in place of those declared.

    A declared source whose file is not there stays; a split without declared sources may have none.

    Raises:
        InputError: Several files could be those of a source, or a shard is missing.
    """
    declared = {"train": task.train, "dev": task.dev, "test": task.test}[split]
    if declared:
        usual = split if len(declared) == 1 else ""
        return tuple(
            _find_source(task, source, names, folder, usual=usual) or source for source in declared
        )
    found = _find_source(task, Source(file=f"{split}.tsv"), names, folder)
    return (found,) if found else ()


def _find_source(
    task: Task, source: Source, names: Sequence[str], folder: str, *, usual: str = ""
) -> Source | None:
    """Return a source with the file that is there: its own if it is, else another; None if none is.

    Args:
        task: The task.
        source: The source.
        names: The files that there are.
        folder: The folder, for messages.
        usual: Name of the split, if a file of this name may be the source's; empty if it may not.

    Raises:
        InputError: Several could be it, or a shard is missing.
    """
    if source.file in names:
        return source
    stem = PurePosixPath(source.file).stem
    candidates = list(_find_patterns(task, stem, names))
    # A train.json may be of either version of SQuAD; and what a glob matches is there already.
    is_other = _VERSION.search(stem) or is_glob(source.file) or source.format != "auto"
    if not candidates and usual and not is_other:
        candidates = list(_find_patterns(task, usual, names))
    if not candidates:
        return None
    if len(candidates) > 1:
        patterns = " and ".join(source.pattern for source in candidates)
        raise InputError(
            f"task {task.name}: got {patterns} in {folder}, expected the files of one; remove the "
            "others, or declare the split in task.yaml"
        )
    (files,) = candidates
    if files.num_files != files.num_expected:
        raise InputError(
            f"task {task.name}: got {files.num_files} of {files.num_expected} files "
            f"{files.pattern} in {folder}, expected all; copy the folder anew"
        )
    return dataclasses.replace(source, file=files.pattern)


def _find_patterns(task: Task, stem: str, names: Sequence[str]) -> Iterator[_SplitFiles]:
    """Yield the files that may be those of a split, in order of their patterns.

    A compressed file beside the one of its name that is not does not count.

    Args:
        task: The task, whose kind decides the endings.
        stem: The usual name of the split's file, without ending.
        names: The files that there are.
    """
    plain_stem = _VERSION.sub("", stem)
    first, _, rest = plain_stem.partition("_")
    words = _DEV_NAMES if first == "dev" else (first,)
    stems = "|".join(re.escape(f"{word}_{rest}" if rest else word) for word in words)
    # Of SQuAD's JSON the name tells the version; Hugging Face's files have folders of their own.
    endings = "|".join(map(re.escape, _endings(task) if plain_stem == stem else [".parquet"]))
    name = re.compile(
        rf"(?P<begin>(?:{SHARDS_FOLDER}/)?(?:{stems}))(?:{_SHARD})?(?P<ending>{endings})"
    )
    counts: dict[tuple[str, int], int] = {}
    unpacked = {name: without_compression(name) for name in names}
    alone = (name for name, plain in unpacked.items() if plain == name or plain not in unpacked)
    for match in filter(None, map(name.fullmatch, alone)):
        pattern = match[0]
        if match["count"]:
            end = "*" if match["hash"] else ""
            pattern = f"{match['begin']}-*-of-{match['count']}{end}{match['ending']}"
        key = (pattern, int(match["count"] or 1))
        counts[key] = counts.get(key, 0) + 1
    for (pattern, num_expected), num_files in sorted(counts.items()):
        yield _SplitFiles(pattern, num_files, num_expected)


def _endings(task: Task) -> list[str]:
    """Return the endings of files that a task of this kind reads."""
    has_tags = task.kind == "token_classification"
    endings = [end for end, name in FORMATS_BY_ENDING.items() if has_tags or name != "conll"]
    endings += _MORE_ENDINGS_OF_TAGS if has_tags else []
    if task.kind == "question_answering":
        endings = [".json", ".parquet"]
    packed = [end for end in endings if end != ".parquet"]
    return endings + [end + packing for end in packed for packing in COMPRESSION_ENDINGS]


def has_labels(task: Task, source: Source, path: str) -> bool:
    """Return whether the first row of a test file has a label, as test files need not have any.

    No label are a missing column, an empty cell, null, and -1, which Hugging Face writes; in
    CoNLL's columns a single one. Where each label has a column, one of them has to hold a value. In
    SQuAD's JSON any of the questions counts. Always true where the task gives the label's column by
    its number, for a file without rows, and for one that cannot be read, which is told when it is.

    Args:
        task: The task, whose label counts, not one of `source`.
        source: The file's declaration, which tells the format.
        path: The file, local, gs:// or s3://.

    Raises:
        ServiceError: The storage failed.
    """
    if not isinstance(task.label, str):
        return True
    if task.source_format(source, path) == "conll":
        return _has_two_columns(path)
    try:
        if task.source_format(source, path) == "squad":
            return has_answers(path)
        row = _first_row(task, source, path)
    except (InputError, UnicodeDecodeError):
        return True
    if row is None:
        return True
    if task.kind == "question_answering":
        return ANSWERS in row
    by_label = has_label_columns(task, task.label, tuple(row))
    columns = task.labels if by_label else (task.label,)
    return any(row.get(name) not in _NO_LABEL for name in columns)


def _has_two_columns(path: str) -> bool:
    """Return whether the first line of words in a file of columns has two or more.

    True for a file without words, or one that cannot be read.
    """
    try:
        with open_unpacked_file(path) as file:
            text = io.TextIOWrapper(file, encoding="utf-8-sig")
            first = next(read_conll_sentences(text), None)
    except (InputError, UnicodeDecodeError):
        return True
    return first is None or len(first[0][1]) > 1


def _first_row(task: Task, source: Source, path: str) -> Mapping[str, Any] | None:
    """Return the values of a table's first row by name; None if there is no row.

    In `tsv` and `csv` it is the row after the header, whose names are without white space around.

    Raises:
        InputError: The file is missing, cannot be read or is not of its format.
        UnicodeDecodeError: It is not UTF-8.
    """
    file_format = task.source_format(source, path)
    with open_unpacked_file(path) as file:
        if file_format == "parquet":
            return next((row for _, row in open_parquet(path, file).rows()), None)
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        if file_format == "jsonl":
            return next((row for _, row in read_json_objects(path, text)), None)
        first_line = text.readline()
        lines = itertools.chain([first_line], text)
        # As `find_format` takes them: many tables between tabs are named .csv.
        is_csv = file_format == "csv" and "\t" not in first_line
        cells = read_csv_cells(path, lines) if is_csv else read_tsv_cells(lines)
        names, first = (next(cells, (0, []))[1] for _ in range(2))
        stripped = (name.strip() for name in names)
        return dict(zip(stripped, first, strict=False)) if first else None
