"""The GLUE tasks in the layout GLUE ships them, and tasks that declare themselves.

Source of columns and labels: classifier_utils.py of the original.
"""

from pathlib import Path

import yaml

from albert_core.errors import InputError
from albert_core.settings import parse_settings
from albert_core.tasks.task import Task

DECLARATION_NAME = "task.yaml"

GLUE_TASKS = {
    task.name: (folder, task)
    for folder, task in {
        "CoLA": Task(
            name="cola",
            has_header=False,
            text_columns=(3,),
            label_column=1,
            labels=("0", "1"),
            test_file="test.tsv",
            test_text_columns=(1,),
            metrics=("matthews_correlation", "accuracy"),
        ),
        "SST-2": Task(
            name="sst-2",
            text_columns=(0,),
            label_column=1,
            labels=("0", "1"),
            test_file="test.tsv",
            test_text_columns=(1,),
            metrics=("accuracy",),
        ),
        "MRPC": Task(
            name="mrpc",
            text_columns=(3, 4),
            label_column=0,
            labels=("0", "1"),
            test_file="test.tsv",
            test_text_columns=(3, 4),
            metrics=("accuracy", "f1"),
        ),
        "STS-B": Task(
            name="sts-b",
            text_columns=(7, 8),
            label_column=-1,
            test_file="test.tsv",
            test_text_columns=(7, 8),
            metrics=("pearson", "spearman"),
        ),
        "RTE": Task(
            name="rte",
            text_columns=(1, 2),
            label_column=-1,
            labels=("entailment", "not_entailment"),
            test_file="test.tsv",
            test_text_columns=(1, 2),
            metrics=("accuracy",),
        ),
    }.items()
}


def find_task(name: str, data_dir: str | Path) -> tuple[Task, Path]:
    """Return a task and its folder below `data_dir`.

    A name is one of GLUE's, or a folder of `data_dir` that declares itself in a task.yaml.

    Raises:
        InputError: The task or its folder is unknown, or the declaration is wrong.
    """
    data_dir = Path(data_dir)
    if name in GLUE_TASKS:
        folder, task = GLUE_TASKS[name]
        if not (data_dir / folder).is_dir():
            raise InputError(
                f"task {name}: no folder {folder} in {data_dir}; expected GLUE's layout"
            )
        return task, data_dir / folder
    if (data_dir / name / DECLARATION_NAME).is_file():
        task = _declared_task(data_dir / name / DECLARATION_NAME)
        if task.name != name:
            raise InputError(
                f"{data_dir / name / DECLARATION_NAME}: got name {task.name!r}, expected the "
                f"folder's, {name!r}"
            )
        return task, data_dir / name
    raise InputError(
        f"task {name!r}: unknown; expected one of {', '.join(GLUE_TASKS)}, or a folder of "
        f"{data_dir} with a {DECLARATION_NAME}"
    )


def _declared_task(path: Path) -> Task:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    return parse_settings(Task, values, source=str(path))
