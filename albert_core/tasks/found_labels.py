"""The labels of a task that declares none: names of classes in its data, or those of its rows."""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from albert_core.errors import InputError, NoAccessError
from albert_core.row_formats import open_parquet
from albert_core.settings.json_values import FieldError
from albert_core.storage import find_below, find_files, is_remote, join, local_file, open_file
from albert_core.tasks.dataset_cards import CARD_NAME, read_class_names
from albert_core.tasks.layouts import find_layout
from albert_core.tasks.rows import UnusableRowError, plain_label
from albert_core.tasks.sentence_files import read_tags
from albert_core.tasks.source import Source
from albert_core.tasks.tables import open_rows
from albert_core.tasks.task import Task

_MAX_LABELS = 1000
_MISSING = frozenset({"nan", "<na>", "#n/a"})
_OTHER_SEPARATORS = "|;"  # that people put between labels in place of commas


def with_found_labels(task: Task, folder: str) -> Task:
    """Return a task with the labels that its data have, if it declares none and needs some.

    They are the names of classes (`ClassLabel`) that Hugging Face's metadata in the first training
    file have, or the card of the data set (README.md); else all labels of the training rows, sorted
    as texts, or by size if they are whole numbers. The names of a card, or else those that the task
    declares, are also noted, so that whole numbers in tables, JSON lines and Parquet stand for
    them; names of which one is the number of another class are dropped.

    Args:
        task: The task, whose training files are there.
        folder: Address of the folder of its files; remote ones are only fetched where labels are
            taken from their rows.

    Raises:
        InputError: There are no training files, no labels or over 1,000, or they are scores; or a
            file cannot be read, other than the card of a task with labels that no access is given
            to.
        ServiceError: The storage failed.
    """
    task = dataclasses.replace(task, class_names=_unambiguous(task.class_names))
    if task.labels:
        with contextlib.suppress(NoAccessError):  # what may not be read from here says nothing
            names = _names_on_card(task, folder) or task.class_names
            return dataclasses.replace(task, class_names=names)
    if not task.lacks_labels:
        return task
    file = _first_file(task, folder)
    if file is None:
        refuse_unknown_labels(task)
    elif names := _names_in_parquet(task, file):
        return dataclasses.replace(task, labels=names, labels_from=task.train[0].file)
    if names := _names_on_card(task, folder):
        return dataclasses.replace(task, labels=names, class_names=names, labels_from=CARD_NAME)
    return dataclasses.replace(
        task, labels=_labels_of_rows(task, folder), labels_from="the training rows"
    )


def _names_on_card(task: Task, folder: str) -> tuple[str, ...]:
    """Return the names of classes that the data set's card gives whole numbers as labels.

    Empty for tasks of GLUE, whose layouts say what numbers stand for, where the first training file
    has names itself or does not exist, and for ambiguous names.

    Raises:
        NoAccessError: Card or file cannot be read from here.
        ServiceError: The storage failed.
    """
    if find_layout(task):
        return ()
    names = _unambiguous(read_class_names(folder, str(_label(task))))
    file = _first_file(task, folder) if names else None
    return () if file is None or _names_in_parquet(task, file) else names


def _unambiguous(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names of classes; empty if one of them is the number of another class.

    A number in a file could then be the name of one class as well as the number of the other.
    """
    by_number = {str(number): name for number, name in enumerate(names)}
    return () if any(by_number.get(name, name) != name for name in names) else names


def refuse_unknown_labels(task: Task) -> None:
    """Refuse a task whose labels are neither declared nor found.

    Raises:
        InputError: The task needs labels and has none.
    """
    if task.lacks_labels:
        raise InputError(
            f"task {task.name}: got no labels, and no training files to take them from are read "
            "here; declare them, as in labels: [no, yes]"
        )


def find_source_files(source: Source, folder: str) -> list[str]:
    """Return the addresses of the files of a source below a folder, local or remote, sorted.

    Empty where there are no such files, and where the folder's bucket cannot be listed for another
    reason than missing access.

    Raises:
        NoAccessError: The bucket cannot be read from here.
        ServiceError: The storage failed.
    """
    if not is_remote(folder):  # whose name may have brackets, which are no glob's
        return list(map(str, find_below(Path(folder), source.file)))
    try:
        return [file.path for file in find_files(join(folder, source.file))]
    except NoAccessError:
        raise
    except InputError:
        return []


def _first_file(task: Task, folder: str) -> str | None:
    """Return the address of the first training file; None if there is none."""
    files = (file for source in task.train for file in find_source_files(source, folder))
    return next(files, None)


def _label(task: Task) -> int | str:
    """Return the number or name of the label's column in the first source of training rows.

    It is the source's own if that has one, else the task's. The task must have a source.
    """
    return task.label if task.train[0].label is None else task.train[0].label


def _names_in_parquet(task: Task, file: str) -> tuple[str, ...]:
    """Return the names of classes that a Parquet file gives its labels; empty for other files.

    Raises:
        InputError: The file cannot be read or is no Parquet, although its ending or format says so.
    """
    if task.source_format(task.train[0], file) != "parquet":
        return ()
    with open_file(file) as stored:
        return tuple(open_parquet(file, stored).class_names.get(str(_label(task)), ()))


def _labels_of_rows(task: Task, folder: str) -> tuple[str, ...]:
    """Return the labels of the training rows, each once; leave out skipped and blank ones.

    They are sorted as texts, or by size if all are whole numbers. White space around them does not
    count, and `1.0` counts as `1`, but not among tags of words. Remote files are downloaded.

    Raises:
        InputError: There are none or over 1,000, skipped ones included; there are numbers with
            fractions, as for scores, or other values that look like mistakes (`_doubtful_labels`);
            or a file cannot be read.
        ServiceError: The storage of a remote file failed.
    """
    distinct: dict[str, None] = {}
    unusable: list[str] = []
    reads_rows = task.kind != "token_classification"
    for source in task.train:
        for file in find_source_files(source, folder):
            for label in _labels_in_file(task, source, local_file(file), unusable):
                distinct[plain_label(label) if reads_rows else label] = None
                if len(distinct) > _MAX_LABELS:
                    raise _no_labels(task, f"over {_MAX_LABELS:,} different labels in its rows")
    labels = [label for label in distinct if label.strip() and label not in task.skipped_labels]
    if not labels or (unusable and task.kind == "classification" and len(labels) < 2):
        found = f"none but {labels[0]}" if labels else "none"
        first = f" (the first that cannot be used: {unusable[0]})" if unusable else ""
        raise _no_labels(task, f"{found} in the column {_label(task)!r} of its rows{first}")
    if scores := [label for label in labels if _is_fraction(label)]:
        raise _no_labels(task, f"scores such as {scores[0]} in its rows")
    if reads_rows and (doubtful := _doubtful_labels(task, labels)):
        raise _no_labels(task, doubtful)
    are_numbers = all(label.removeprefix("-").isdecimal() for label in labels)
    return tuple(sorted(labels, key=int if are_numbers else None))


def _labels_in_file(task: Task, source: Source, path: Path, unusable: list[str]) -> Iterator[str]:
    """Yield the labels of a training file's rows in their order, or the tags of its words.

    If a label has several spellings, it is the first. Rows that cannot be used are passed over.

    Args:
        task: The task.
        source: The file's declaration.
        path: The file.
        unusable: Takes what is wrong with the first such row, and where, if it is empty.

    Raises:
        InputError: The file cannot be read or is not of its format.
    """
    if task.kind == "token_classification":
        yield from itertools.chain.from_iterable(read_tags(task, source, path, unusable))
        return
    rows = open_rows(task, source, path, ())
    for number, row in rows:
        try:
            labels = rows.cells(row).label or ()
        except (FieldError, UnusableRowError) as error:
            if not unusable:
                unusable.append(f"{path}, {rows.unit} {number}: {error}")
            continue  # refused, or left out and counted, when it is read
        yield from labels if task.kind == "multi_label" else labels[:1]


def _doubtful_labels(task: Task, labels: Sequence[str]) -> str:
    """Return in words which labels are likely mistakes in a file; empty if there are none.

    They are words that programs write where there is no value, labels that differ in case alone,
    and for `multi_label` several labels in one, with other signs than commas between them.
    """
    if missing := [label for label in labels if label.casefold() in _MISSING]:
        return (
            f"labels such as {missing[0]!r} in its rows, which programs write where there is none "
            "(skipped_labels leaves these rows out)"
        )
    same: dict[str, str] = {}
    for label in labels:
        other = same.setdefault(label.casefold(), label)
        if other != label:
            return f"{other!r} and {label!r} in its rows, which differ in case alone"
    if task.kind == "multi_label":
        joined = [label for label in labels if any(sign in label for sign in _OTHER_SEPARATORS)]
        if joined:
            return f"labels such as {joined[0]!r} in its rows, where commas are expected"
    return ""


def _is_fraction(label: str) -> bool:
    """Return whether a label is a number written with a decimal point."""
    return "." in label and label.removeprefix("-").replace(".", "", 1).isdecimal()


def _no_labels(task: Task, reason: str) -> InputError:
    return InputError(
        f"task {task.name}: no labels are declared, and there are {reason}; declare them, as in "
        "labels: [no, yes], or name their column (label: COLUMN), or for scores kind: regression"
    )
