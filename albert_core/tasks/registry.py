"""All tasks by name, where their files are looked for, and tasks that people declare."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from albert_core.errors import InputError
from albert_core.settings import parse_settings, texts_as_written
from albert_core.storage import local_folder, read_bytes
from albert_core.tasks.clue import CLUE_FOLDERS, CLUE_TASKS
from albert_core.tasks.glue import GLUE_FOLDERS, GLUE_TASKS
from albert_core.tasks.reading import SPLITS, existing_files
from albert_core.tasks.reading_comprehension import (
    RACE_FOLDERS,
    RACE_TASKS,
    SQUAD_FOLDERS,
    SQUAD_TASKS,
)
from albert_core.tasks.task import Source, Task
from albert_core.yaml_text import load_yaml, load_yaml_as_text

DECLARATION_NAME = "task.yaml"

TASKS: Mapping[str, Task] = {
    task.name: task for task in (*GLUE_TASKS, *SQUAD_TASKS, *RACE_TASKS, *CLUE_TASKS)
}
TASK_GROUPS: Mapping[str, tuple[str, ...]] = {"all-glue": tuple(GLUE_FOLDERS)}
"""Names that stand for several tasks."""

_PLAIN_NAME = re.compile(r"(?!\.)[^/\\\x00-\x1f]+")
_FOLDERS: Mapping[str, tuple[str, ...]] = {
    **{name: (folder, f"glue/{folder}") for name, folder in GLUE_FOLDERS.items()},
    **{task.name: SQUAD_FOLDERS for task in SQUAD_TASKS},
    **{task.name: RACE_FOLDERS for task in RACE_TASKS},
    **{
        task.name: (folder := CLUE_FOLDERS.get(task.name, task.name), f"clue/{folder}")
        for task in CLUE_TASKS
    },
}


def expand_groups(names: Iterable[str]) -> tuple[str, ...]:
    """Return names of tasks with the tasks of `TASK_GROUPS` in place of the groups, each once."""
    expanded = (task for name in names for task in TASK_GROUPS.get(name, (name,)))
    return tuple(dict.fromkeys(expanded))


def named_task(name: str) -> Task:
    """Return a task without its files: one of `TASKS`, or of the path of a task.yaml.

    Raises:
        InputError: It is neither, or the declaration is wrong.
    """
    if name in TASKS:
        return TASKS[name]
    if name.endswith((".yaml", ".yml")):
        return read_task_file(name)
    raise InputError(
        f"task {name!r}: unknown; expected one of {', '.join(TASKS)}, or the path of a "
        f"{DECLARATION_NAME}"
    )


def find_task(name: str, data_dir: str | Path) -> tuple[Task, Path]:
    """Return a task and the folder of its files.

    Args:
        name: One of `TASKS`, a folder of `data_dir` that declares itself in a task.yaml, or the
            path of such a file, whose task's files are in that folder or else in `data_dir`.
        data_dir: Folder of the tasks' folders, local, gs:// or s3://.

    Raises:
        InputError: The task or its folder is unknown, or the declaration is wrong or has another
            name than the folder that holds it.
    """
    data_dir = local_folder(data_dir)
    declaration = data_dir / name / DECLARATION_NAME
    if name in TASKS:
        task = TASKS[name]
    elif name.endswith((".yaml", ".yml")):
        task = read_task_file(name)
    elif declaration.is_file():
        task = read_task_file(declaration)
        if task.name != name:
            raise InputError(
                f"{declaration}: got name {task.name!r}, expected the folder's, {name!r}"
            )
    else:
        raise InputError(
            f"task {name!r}: unknown; expected one of {', '.join(TASKS)}, a folder of {data_dir} "
            f"with a {DECLARATION_NAME}, or the path of such a file"
        )
    return task, data_folder(task, data_dir)


def data_folder(task: Task, data_dir: str | Path) -> Path:
    """Return the first candidate folder below `data_dir` that holds development files of the task.

    A known task's candidates are its published folders, any other's one of its name and `data_dir`
    itself.

    Raises:
        InputError: No candidate holds any.
    """
    candidates, data_dir = candidate_folders(task), local_folder(data_dir)
    for folder in candidates:
        if any(existing_files(source, data_dir / folder) for source in task.dev):
            return data_dir / folder
    raise InputError(
        f"task {task.name}: no {task.dev[0].file} in {data_dir} or below it in "
        f"{' or '.join(folder for folder in candidates if folder != '.')}; expected the task's "
        "dev set, in files as they are published"
    )


def candidate_folders(task: Task) -> tuple[str, ...]:
    """Return where to look for a task's files, as paths below the folder of all tasks."""
    return _FOLDERS.get(task.name, (task.name, "."))


def read_task_file(path: str | Path) -> Task:
    """Return the task that a YAML file declares, local, gs:// or s3://.

    Its keys are the fields of `Task`; a source may be given as the name of its file alone.

    Raises:
        InputError: The file is missing, no YAML, or the declaration is wrong, has training or dev
            files without labels, or leads out of the folders of task and results.
    """
    data = read_bytes(str(path))
    values = load_yaml(data, source=str(path))
    written = load_yaml_as_text(data, source=str(path))
    if isinstance(values, Mapping):
        values = texts_as_written(Task, _with_lists(values), _with_lists(written))
    task = parse_settings(Task, values, source=str(path))
    _refuse_outside_paths(task, path)
    _refuse_missing_labels(task, path)
    return task


def _refuse_missing_labels(task: Task, path: str | Path) -> None:
    """Refuse training and dev files without labels, of which nothing can be learned or scored.

    Raises:
        InputError: There is such a file; names the first.
    """
    for split in ("train", "dev"):
        for source in task.sources(split):
            if not source.is_labelled:
                raise InputError(
                    f"{path}: got is_labelled: false for {source.file} of the {split} set, "
                    "expected labels there: only test files may lack them"
                )


def _refuse_outside_paths(task: Task, path: str | Path) -> None:
    """Refuse names of a task, its submissions and files that lead out of their folders.

    Raises:
        InputError: A name is empty, begins with a dot or holds a slash, a backslash or a control
            character, or a file's path is absolute or holds `..`; names the first.
    """
    # A declaration comes with other people's data, and the name of its task becomes part of the
    # names of folders and logs: "../.." in it would write anywhere.
    sources = [source for split in SPLITS for source in task.sources(split)]
    names = [task.name, *(source.submission for source in sources if source.submission)]
    if wrong := [name for name in names if not _PLAIN_NAME.fullmatch(name)]:
        raise InputError(
            f"{path}: got name {wrong[0]!r}, expected one without '/' that does not begin with '.'"
        )
    if outside := [source.file for source in sources if not _is_below(source)]:
        raise InputError(
            f"{path}: got file {outside[0]!r}, expected a path below the task's folder"
        )


def _is_below(source: Source) -> bool:
    file = PurePosixPath(source.file)
    return not file.is_absolute() and ".." not in file.parts


def _with_lists(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a declaration in which the lists that may be given as one value are lists.

    A file's name alone becomes a source with this file.
    """
    files: dict[str, Any] = {split: _sources(values[split]) for split in SPLITS if split in values}
    lists = {
        key: [values[key]]
        for key in ("texts", "labels", "skipped_labels", "metrics", "combined")
        if isinstance(values.get(key), str | int | float)
    }
    return {**values, **files, **lists}


def _sources(value: Any) -> list[Any]:
    """Return a list of sources by keys, from a file's name, a source or a list of these."""
    items = value if isinstance(value, list) else [value]
    return [{"file": item} if isinstance(item, str) else item for item in items]
