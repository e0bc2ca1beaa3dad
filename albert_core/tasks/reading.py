"""Read the files of a task in any of the formats."""

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from albert_core.errors import InputError
from albert_core.files.atomic import hash_json, sha256_of_file
from albert_core.storage import find_below
from albert_core.tasks.cell_rows import read_header
from albert_core.tasks.dev_split import choose_dev_rows
from albert_core.tasks.examples import Example, InvalidRows, Question, TaggedSentence
from albert_core.tasks.fingerprints import fingerprinted_values
from albert_core.tasks.found_labels import refuse_unknown_labels
from albert_core.tasks.race_file import read_race
from albert_core.tasks.sentence_files import read_sentences_file
from albert_core.tasks.source import Source, Split
from albert_core.tasks.squad_file import read_squad
from albert_core.tasks.tables import find_format, read_table
from albert_core.tasks.task import Task

SPLITS: tuple[Split, ...] = ("train", "dev", "test")


def task_fingerprint(task: Task, folder: Path, *, needs_training: bool = True) -> str:
    """Return a sha256, in hex, of the declaration and of the bytes of the files it names.

    All files are read. Test files and optional ones count where they are there.
    `evaluation_interval_steps` of the recipe is ignored, and so is where the folder is.

    Args:
        task: The task.
        folder: Folder of its files.
        needs_training: Whether training files must be there. If not, they count where all are there
            that are not optional, else none of them does.

    Raises:
        InputError: A development file is missing, or a training file that must be there.
    """
    splits = [s for s in SPLITS if s != "train" or needs_training or has_training(task, folder)]
    hashes = {
        f"{source.file} {_name_in_source(path, source, folder)}": sha256_of_file(path)
        for split in splits
        for source in task.sources(split)
        for path in source_files(task, source, folder, split)
    }
    declaration = fingerprinted_values(task)
    # Says nothing about the data; the first versions did not have it, and must find their work.
    del declaration["recipe"]["evaluation_interval_steps"]
    return hash_json({"task": declaration, "files": hashes})


def has_training(task: Task, folder: Path) -> bool:
    """Return whether each training source that is not optional has a file in the task's folder."""
    sources = [source for source in task.sources("train") if not source.is_optional]
    return all(existing_files(source, folder) for source in sources)


def _name_in_source(path: Path, source: Source, folder: Path) -> str:
    """Return a file's name; its path below the task's folder where a source has several folders.

    By their names alone, files of two folders would be taken for one.
    """
    if path.parent == (folder / source.file).parent:
        return path.name
    return Path(os.path.relpath(path, folder)).as_posix()


def source_files(task: Task, source: Source, folder: Path, split: Split) -> list[Path]:
    """Return the existing files of a source, sorted by path; empty if there are none.

    Raises:
        InputError: None exists, although the source is neither optional nor of the test split.
    """
    paths = existing_files(source, folder)
    if not paths and not source.is_optional and split != "test":
        raise InputError(
            f"task {task.name}: no file {folder / source.file}; expected the task's {split} set"
        )
    return paths


def existing_files(source: Source, folder: Path) -> list[Path]:
    """Return the files that match `source.file` below a folder, sorted by path; maybe empty."""
    return find_below(folder, source.file)


def read_examples(
    task: Task, folder: Path, split: Split, *, invalid_rows: InvalidRows | None = None
) -> list[Example]:
    """Return all examples of a split, in the order of its files and their rows.

    For a task without dev files, the training rows are split into training and dev set: all of them
    are read for either. Empty texts make the row of a table unusable in training files alone. Rows
    whose label is one of `skipped_labels` are not among the examples. Without test files there are
    none of the test set.

    Args:
        task: A task of classes, labels, scores or choices.
        folder: Folder of its files, local.
        split: Which files.
        invalid_rows: A new collector, which is filled with the rows that cannot be used; by default
            the first one raises.

    Raises:
        InputError: A training or dev file is missing, or any cannot be read; a row cannot be used
            and `invalid_rows` refuses it (the message names file and line); more rows were left out
            than kept; a training or dev set has no rows or too few to be split; or the task needs
            labels and has none.
    """
    return list(_read(task, folder, split, invalid_rows or InvalidRows(split=split)))


def read_questions(
    task: Task, folder: Path, split: Split, *, invalid_rows: InvalidRows | None = None
) -> list[Question]:
    """Return all questions of a split of a question-answering task, in the order of its files.

    For a task without dev files, the training questions are split into training and dev set: all of
    them are read for either. Questions that cannot be used fill `invalid_rows`, a new collector; by
    default the first one raises. In training files, that is also one whose first answer does not
    stand where the file says. Without test files there are none of the test set.

    Raises:
        InputError: A training or dev file is missing, or any cannot be read; a question cannot be
            used and `invalid_rows` refuses it; more were left out than kept; a training or dev set
            has none or too few; or all questions in training files of Parquet have an answer,
            although the task is one in which some have none.
    """
    return list(_read(task, folder, split, invalid_rows or InvalidRows(split=split)))


def read_sentences(
    task: Task, folder: Path, split: Split, *, invalid_rows: InvalidRows | None = None
) -> list[TaggedSentence]:
    """Return all sentences of a split of a task that tags words, in the order of its files.

    For a task without dev files, the training sentences are split into training and dev set: all of
    them are read for either. Sentences that cannot be used fill `invalid_rows`, a new collector; by
    default the first one raises. Without test files there are none of the test set.

    Raises:
        InputError: A training or dev file is missing, or any cannot be read; a sentence cannot be
            used and `invalid_rows` refuses it; more were left out than kept; a training or dev set
            has none or too few; or the task has no labels.
    """
    return list(_read(task, folder, split, invalid_rows or InvalidRows(split=split)))


def _read(task: Task, folder: Path, split: Split, invalid_rows: InvalidRows) -> Iterator:
    """Yield the rows of a split, in the order of its files.

    If the dev set is split off the training set, all training files are read first, and only their
    rows that belong to the split are yielded.

    Raises:
        InputError: The task has no labels; a file is missing or cannot be used; `invalid_rows`
            refuses a row; at the end, more rows were left out than yielded, or a training or dev
            set has none; or too few rows are there to split any off.
    """
    refuse_unknown_labels(task)
    if split == "test" or not task.splits_off_dev:
        yield from _read_files(task, folder, split, invalid_rows)
        return
    # As training rows for both, so that both find the same rows unusable.
    rows = list(_read_files(task, folder, "train", invalid_rows))
    is_dev = choose_dev_rows(task, rows)
    if not any(is_dev):
        raise InputError(
            f"{folder / task.train[0].file}: got {len(rows):,} rows, of which dev_fraction "
            f"{task.dev_fraction:g} splits off none for the dev set; expected more rows, a larger "
            "dev_fraction, or dev files"
        )
    yield from (
        row for row, belongs in zip(rows, is_dev, strict=True) if belongs == (split == "dev")
    )


def _read_files(task: Task, folder: Path, split: Split, invalid_rows: InvalidRows) -> Iterator:
    """Yield the rows of a split's files, file by file; in the end check their number.

    Raises:
        InputError: A file is missing or cannot be used, `invalid_rows` refuses a row; or, at the
            end, more rows were left out than yielded, a training or dev set has none, or the
            questions of training files in Parquet all have an answer although some should not.
    """
    num_rows, num_unanswerable = 0, 0
    for source in task.sources(split):
        # Through all files of a source: in its predictions no two rows have one number.
        numbers = itertools.count()
        for path in source_files(task, source, folder, split):
            for example in _read_file(task, source, path, split, invalid_rows, folder, numbers):
                num_rows += 1
                num_unanswerable += isinstance(example, Question) and example.is_impossible
                yield example
    sources = task.sources(split)
    file = folder / sources[0].file if sources else folder
    # A few wrong rows are mistakes, most of them mean that the file is another one.
    if (num_invalid := invalid_rows.counts.total()) > num_rows:
        causes = ", ".join(f"{count:,} {cause}" for cause, count in invalid_rows.counts.items())
        first = next(iter(invalid_rows.first.values()))
        raise InputError(
            f"{file}: got {num_invalid:,} of {num_invalid + num_rows:,} rows that cannot be used "
            f"({causes}), expected a few at most; the first: {first}"
        )
    if not num_rows and split != "test":
        raise InputError(f"{file}: no rows; expected the task's {split} set")
    is_all_answered = split == "train" and task.has_unanswerable and not num_unanswerable
    # There the files of both versions of SQuAD have the same names and columns.
    if is_all_answered and task.source_format(sources[0], file.name) == "parquet":
        raise InputError(
            f"{file}: got {num_rows:,} questions that all have an answer, expected some without "
            f"one for task {task.name}; these may be SQuAD 1.1's, which are for task squad1; a "
            "task.yaml without such questions has has_unanswerable: false"
        )


def _read_file(
    task: Task,
    source: Source,
    path: Path,
    split: Split,
    invalid_rows: InvalidRows,
    folder: Path,
    numbers: Iterator[int],
) -> Iterator[Example] | Iterator[Question] | Iterator[TaggedSentence]:
    """Return an iterator of the rows of a file, read by the kind of its task and its format.

    Texts (and places of answers) are checked in training files alone; `folder` is where the
    training table's header is looked up, with which other tables are compared. `numbers` are the
    ids of the rows of tables and of sentences.

    Raises:
        InputError: Once it is iterated: the file cannot be read or is not of its format, or
            `invalid_rows` refuses a row.
    """
    # Development and test rows must all be scored, so an empty text there is predicted like any.
    trains = split == "train"
    if task.kind == "token_classification":
        return read_sentences_file(task, source, path, invalid_rows, numbers)
    file_format = find_format(task, source, path)
    if file_format == "squad" or task.kind == "question_answering":
        return read_squad(task, source, path, trains=trains, invalid_rows=invalid_rows)
    if file_format == "race":
        return read_race(source, path, invalid_rows=invalid_rows)
    return read_table(
        task,
        source,
        path,
        checks_texts=trains,
        invalid_rows=invalid_rows,
        numbers=numbers,
        train_header=_train_header(task, folder),
    )


def _train_header(task: Task, folder: Path) -> Sequence[str]:
    """Return the header of the task's first training file, from `folder`.

    Empty if there is no such file, it cannot be read, or it is no table between tabs or commas with
    a header.
    """
    source = task.train[0]
    paths = existing_files(source, folder)
    if not paths or not source.has_header:
        return ()
    file_format = find_format(task, source, paths[0])
    return read_header(paths[0], source, file_format) if file_format in ("tsv", "csv") else ()
