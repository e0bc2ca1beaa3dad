"""All tasks by name, and where their files are looked for."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from albert_core.errors import InputError
from albert_core.settings.suggestions import did_you_mean
from albert_core.storage import local_folder
from albert_core.tasks.clue import CLUE_FOLDERS, CLUE_TASKS
from albert_core.tasks.declarations import DECLARATION_NAME, read_declaration, read_task_file
from albert_core.tasks.found_labels import find_source_files, with_found_labels
from albert_core.tasks.glue import GLUE_FOLDERS, GLUE_TASKS
from albert_core.tasks.reading import SPLITS, existing_files, has_training
from albert_core.tasks.reading_comprehension import (
    FOLDERS_OF_PUBLISHED_FILES,
    RACE_FOLDERS,
    RACE_TASKS,
    SQUAD_FOLDERS,
    SQUAD_TASKS,
)
from albert_core.tasks.source import Split
from albert_core.tasks.split_files import SHARDS_FOLDER, has_labels, with_found_files
from albert_core.tasks.task import Task

_SAVED_DATA = frozenset({"dataset_dict.json", "state.json"})  # beside Arrow files
_NUM_NAMED = 5  # files in a message

TASKS: Mapping[str, Task] = {
    task.name: task for task in (*GLUE_TASKS, *SQUAD_TASKS, *RACE_TASKS, *CLUE_TASKS)
}
TASK_GROUPS: Mapping[str, tuple[str, ...]] = {"all-glue": tuple(GLUE_FOLDERS)}
"""Names that stand for several tasks."""


def _hub_name(task: str) -> str:
    """Return the folder of a task of GLUE in Hugging Face's data set `glue`, as `sst2`."""
    return {"sst-2": "sst2", "sts-b": "stsb"}.get(task, task)


_FOLDERS: Mapping[str, tuple[str, ...]] = {
    **{
        name: tuple(
            path for place in (folder, _hub_name(name)) for path in (place, f"glue/{place}")
        )
        for name, folder in GLUE_FOLDERS.items()
    },
    **SQUAD_FOLDERS,
    **{task.name: RACE_FOLDERS for task in RACE_TASKS},
    **{
        task.name: (folder := CLUE_FOLDERS.get(task.name, task.name), f"clue/{folder}")
        for task in CLUE_TASKS
    },
}


def expand_groups(names: Iterable[str]) -> tuple[str, ...]:
    """Return names of tasks with the tasks of `TASK_GROUPS` in place of the groups, each once.

    They come in the order in which they are first named. Unknown names stay as they are.
    """
    expanded = (task for name in names for task in TASK_GROUPS.get(name, (name,)))
    return tuple(dict.fromkeys(expanded))


def named_task(name: str) -> Task:
    """Return a task without looking for its files: one of `TASKS`, or that of a task.yaml.

    Args:
        name: Its name, or the path of a file of any name that ends in .yaml or .yml, local, gs://
            or s3://.

    Raises:
        InputError: It is neither, the declaration is wrong or cannot be read, or it declares no
            labels where the task needs some: they are not looked for.
        ServiceError: The storage of a declaration in the cloud failed.
    """
    if name in TASKS:
        return TASKS[name]
    if name.endswith((".yaml", ".yml")):
        return read_task_file(name)
    raise InputError(
        f"task {name!r}: unknown; expected one of {', '.join(TASKS)}, or the path of a "
        f"{DECLARATION_NAME}{did_you_mean(name, TASKS)}"
    )


def find_task(name: str, data_dir: str | Path) -> tuple[Task, Path]:
    """Return a task, with the files that are there, and the local folder of its files.

    For splits that a declaration says nothing of, and published files that are missing, files are
    found by their names, see `with_found_files`; labels that are not declared are taken from the
    files. A folder in the cloud is downloaded.

    Args:
        name: One of `TASKS`, a folder of `data_dir` that declares itself in a task.yaml, or the
            path of such a file, whose task's files are in that folder or else in `data_dir`.
        data_dir: Folder of the tasks' folders, local, gs:// or s3://.

    Raises:
        InputError: The task or its folder is unknown, the declaration is wrong or has another name
            than the folder that holds it, no folder has its dev set, several files could be those
            of a split, a shard is missing, or labels are needed and not found.
        ServiceError: The storage failed.
    """
    data_dir = local_folder(data_dir)
    declaration = data_dir / name / DECLARATION_NAME
    undeclared: Collection[Split] = SPLITS
    if name in TASKS:
        task = TASKS[name]
    elif name.endswith((".yaml", ".yml")):
        task, undeclared = read_declaration(name)
    elif declaration.is_file():
        task, undeclared = read_declaration(declaration)
        if task.name != name:
            raise InputError(
                f"{declaration}: got name {task.name!r}, expected the folder's, {name!r}"
            )
    else:
        raise InputError(
            f"task {name!r}: unknown; expected one of {', '.join(TASKS)}, a folder of {data_dir} "
            f"with a {DECLARATION_NAME}, or the path of such a file{did_you_mean(name, TASKS)}"
        )
    return _find_in_folders(task, data_dir, undeclared)


def data_folder(task: Task, data_dir: str | Path) -> Path:
    """Return the first candidate folder below `data_dir` that holds the dev files a task declares.

    For a task without dev files these are its training files. A named folder with training files,
    too, comes before one without. A known task's candidates are its published folders, any other's
    one of its name and `data_dir` itself. A folder in the cloud is downloaded.

    Raises:
        InputError: No candidate holds any, or the task's labels are not declared and not found.
        ServiceError: The storage failed.
    """
    return _find_in_folders(task, local_folder(data_dir), ())[1]


def _find_in_folders(
    task: Task, data_dir: Path, undeclared: Collection[Split]
) -> tuple[Task, Path]:
    """Return a task with the files and labels that are there, and the folder that has them.

    That is the first candidate with its dev set, or with what the dev set is split off; but where
    that has no training set, the first named folder that has both.

    Args:
        task: The task.
        data_dir: Folder of the tasks' folders.
        undeclared: The splits that may have other files than the task says.

    Raises:
        InputError: No candidate has its dev set, a folder cannot be read, several files could be
            those of a split, a shard is missing, or labels are needed and not found.
    """
    wanted, only_dev, there = task, None, list[str]()
    for candidate in candidate_folders(task):
        # Whoever names a folder after the task means it: files beside that are another task's.
        if only_dev and candidate == ".":
            continue
        folder = data_dir / candidate
        splits = splits_to_find(task, candidate, undeclared)
        names = _names_in(folder)
        there = there or (names if candidate != "." else [])
        complete_task = with_found_files(task, names, splits, folder=str(folder))
        if any(existing_files(source, folder) for source in complete_task.sources("dev")):
            if has_training(complete_task, folder):
                return with_known_labels(complete_task, task, str(folder)), folder
            only_dev = only_dev or (complete_task, folder)
        wanted = wanted if wanted.dev else complete_task
    if only_dev is None:
        raise no_dev_set(wanted, str(data_dir), there)
    complete_task, folder = only_dev
    return with_known_labels(complete_task, task, str(folder)), folder


def _names_in(folder: Path) -> list[str]:
    """Return the names of what is in a folder, and of `data` in it the paths, folders left out.

    Also of what is no file, as a pipe: it is refused later, and not taken for missing.

    Raises:
        InputError: A folder cannot be read.
    """
    try:
        return [
            path.relative_to(folder).as_posix()
            for part in (folder, folder / SHARDS_FOLDER)
            if part.is_dir()
            for path in part.iterdir()
            if not path.is_dir()
        ]
    except OSError as error:
        raise InputError(
            f"{error.filename}: {error.strerror}; expected a readable folder"
        ) from error


def with_known_labels(task: Task, declared: Task, folder: str) -> Task:
    """Return a task with labels that its files have where it declares none.

    A test file that is found in place of a declared one with labels, or without any declared,
    counts as labelled only if its first row has a label.

    Args:
        task: The task with the files that are there.
        declared: The task as it is declared.
        folder: Address of the folder of its files.

    Raises:
        InputError: Labels are needed, and there are none or over 1,000, or they are scores; or a
            file cannot be read.
        ServiceError: The storage failed.
    """
    task = with_found_labels(task, folder)
    test = [
        dataclasses.replace(
            source,
            is_labelled=has_labels(task, source, find_source_files(source, folder)[0]),
        )
        if source.is_labelled and source not in declared.test
        else source
        for source in task.test
    ]
    return dataclasses.replace(task, test=tuple(test))


def no_dev_set(task: Task, data_dir: str, there: Sequence[str] = ()) -> InputError:
    """Return the error of a task whose dev set, or what it is split off, is in no folder.

    Args:
        task: The task.
        data_dir: Folder of the tasks' folders.
        there: The files in its first folder, of which the message names five.
    """
    split = "training" if task.splits_off_dev else "dev"
    published = FOLDERS_OF_PUBLISHED_FILES.get(task.name)
    exception = f" (not in {' or '.join(published)})" if published else ""
    names = sorted(name for name in there if name != DECLARATION_NAME)
    others = ", ..." if len(names) > _NUM_NAMED else ""
    found = f", but {', '.join(names[:_NUM_NAMED])}{others}" if names else ""
    remedy = (
        "; save_to_disk wrote this data set: save each split as Parquet, as in "
        "data['train'].to_parquet('train.parquet')"
    )
    return InputError(
        f"task {task.name}: no {task.sources('dev')[0].file} in {data_dir} or below it in "
        f"{' or '.join(folder for folder in candidate_folders(task) if folder != '.')}{found}; "
        f"expected the task's {split} set, in files as they are published, or named train, dev (or "
        f"validation) and test with the ending of their format{exception}"
        f"{'' if _SAVED_DATA.isdisjoint(names) else remedy}"
    )


def candidate_folders(task: Task) -> tuple[str, ...]:
    """Return the folders to look for a task's files in, below the folder of all tasks.

    They are relative to that folder (`.` is the folder itself) and in the order in which they are
    to be tried. Whether they exist is not looked at.
    """
    return _FOLDERS.get(task.name, (task.name, "."))


def splits_to_find(task: Task, candidate: str, undeclared: Collection[Split]) -> Collection[Split]:
    """Return the splits that may have other files than the task says in one of its folders.

    None where only files by their published names count (`FOLDERS_OF_PUBLISHED_FILES`); in any
    other folder `undeclared`.

    Args:
        task: The task.
        candidate: One of its `candidate_folders`.
        undeclared: The splits that may have others in the other folders.
    """
    return () if candidate in FOLDERS_OF_PUBLISHED_FILES.get(task.name, ()) else undeclared
