"""The files for GLUE's site, and the files of predictions for SQuAD and RACE.

The site wants a zip archive with all eleven files, each a table of `index` and `prediction` with a
row for each example of its test set. Tasks that were not run are filled, as in the sample that GLUE
gives out: they get a score, but one of no meaning.
"""

import dataclasses
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from albert_core.artifacts.manifest import OutputFolder
from albert_core.settings.checks import check_distinct
from albert_core.tasks import TASKS, Task
from albert_core.tasks.glue import GLUE_TASKS
from albert_core.tasks.task import SUBMISSION_FOLDER

SUBMISSION_NAME = "glue_submission.zip"
PREDICTIONS_FOLDER = "predictions"
HEADER = "index\tprediction"
# A fixed date in the archive, so that the same predictions give the same bytes.
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)

# Rows of GLUE's test sets, by the names of the site's files.
NUM_ROWS: Mapping[str, int] = {
    "AX.tsv": 1_104,
    "CoLA.tsv": 1_063,
    "MNLI-m.tsv": 9_796,
    "MNLI-mm.tsv": 9_847,
    "MRPC.tsv": 1_725,
    "QNLI.tsv": 5_463,
    "QQP.tsv": 390_965,
    "RTE.tsv": 3_000,
    "SST-2.tsv": 1_821,
    "STS-B.tsv": 1_379,
    "WNLI.tsv": 146,
}
_NUM_SCORES = 6  # of STS-B: 0 to 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class SubmissionFile:
    """A file of the archive for GLUE's site.

    Attributes:
        name: Its name there.
        task: The task.
        num_rows: Predictions in it.
        is_predicted: Whether the run's model predicted them; else they are filled.
        remarks: Why the site would refuse it, in words; empty for one that it takes.
    """

    name: str
    task: str
    num_rows: int
    is_predicted: bool
    remarks: tuple[str, ...] = ()


def write_submission(evaluations: Sequence[OutputFolder], path: Path) -> list[SubmissionFile]:
    """Pack the predictions of pretrained models on GLUE's test sets into a zip archive.

    Writes no archive, and returns an empty list, if there are no predictions; an archive of before
    stays then. All eleven files are in it, those without predictions as `fill_file` makes them.
    Files that the site would refuse are packed, too, with remarks in what is returned.

    Args:
        evaluations: Outputs of `albert evaluate`.
        path: The archive; replaced if it exists.

    Returns:
        The files in the archive, in the order of their names.

    Raises:
        InputError: Two evaluations have a file of one name.
    """
    paths = [
        file
        for folder, manifest in evaluations
        if manifest.config["initialization"] == "pretrained"
        for file in (folder / SUBMISSION_FOLDER).glob("*.tsv")
        if file.name in NUM_ROWS
    ]
    check_distinct("report: files for GLUE's site", [file.name for file in paths])
    predicted = {file.name: file for file in paths}
    if not predicted:
        return []
    tasks = _tasks_by_file()
    files = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(NUM_ROWS):
            task, file = tasks[name], predicted.get(name)
            text = file.read_text(encoding="utf-8") if file else fill_file(task, NUM_ROWS[name])
            archive.writestr(zipfile.ZipInfo(name, date_time=_ZIP_DATE), text.encode())
            files.append(
                SubmissionFile(
                    name=name,
                    task=task.name,
                    num_rows=len(text.splitlines()) - 1,
                    is_predicted=file is not None,
                    remarks=tuple(check_file(text, task, num_rows=NUM_ROWS[name])),
                )
            )
    return files


def fill_file(task: Task, num_rows: int) -> str:
    """Return a file for GLUE's site of a task that was not run.

    It has the first label in each row. Scores go from 0 to 5 and begin again, since there is no
    correlation with a constant.
    """
    rows = (
        f"{index}\t{task.labels[0] if task.labels else index % _NUM_SCORES}"
        for index in range(num_rows)
    )
    return "\n".join([HEADER, *rows]) + "\n"


def check_file(text: str, task: Task, *, num_rows: int) -> Iterator[str]:
    """Yield why GLUE's site would refuse a file, one sentence for each kind of reason.

    For each kind of fault, the first wrong row is named. Yields nothing for a file that it takes.

    Args:
        text: Its content, one line at least.
        task: Its task.
        num_rows: Rows of the task's test set.
    """
    header, *lines = text.splitlines()
    if header != HEADER:
        yield f"got the header {header!r}, expected {HEADER!r}"
    if len(lines) != num_rows:
        yield f"got {len(lines):,} rows, expected the {num_rows:,} of GLUE's test set"
    rows = [line.split("\t") for line in lines]
    checks: tuple[tuple[str, Callable[[int, list[str]], bool]], ...] = (
        ("index and prediction", lambda number, cells: len(cells) == 2),
        ("the numbers from 0 on as indexes", lambda number, cells: cells[0] == str(number)),
        (_expected_prediction(task), lambda number, cells: _is_prediction(cells[-1], task)),
    )
    for expected, is_right in checks:
        wrong = (n for n, cells in enumerate(rows) if not is_right(n, cells))
        if (first := next(wrong, None)) is not None:
            yield f"got {lines[first]!r} in row {first + 1:,}, expected {expected}"


def _expected_prediction(task: Task) -> str:
    return f"a prediction of {', '.join(task.labels)}" if task.labels else "a number as prediction"


def _is_prediction(cell: str, task: Task) -> bool:
    """Return whether a cell is a label of a task, or a finite number where it has none."""
    if task.labels:
        return cell in task.labels
    try:
        return abs(float(cell)) < float("inf")
    except ValueError:
        return False


def _tasks_by_file() -> dict[str, Task]:
    """Return the task of each file of predictions that GLUE's site takes, by the file's name.

    The names are such as `CoLA.tsv`; a task with several test sets has several files.
    """
    return {
        source.submission: task for task in GLUE_TASKS for source in task.test if source.submission
    }


def copy_predictions(evaluations: Sequence[OutputFolder], folder: Path) -> list[str]:
    """Copy the predictions of pretrained models for questions and choices, and return their names.

    For SQuAD and tasks like it these are the answers by question, and the odds that there is no
    answer, as the official scripts read them; for built-in tasks of multiple choice, such as RACE,
    they are tables. Files of these names are replaced.

    Args:
        evaluations: Outputs of `albert evaluate`.
        folder: Receives a folder for each task; made if there is something to copy.

    Returns:
        Paths below `folder`, sorted.
    """
    names = []
    for evaluation, manifest in evaluations:
        if manifest.config["initialization"] != "pretrained":
            continue
        task = manifest.config["task"]
        for file in _prediction_files(task, evaluation):
            (folder / task).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, folder / task / file.name)
            names.append(f"{task}/{file.name}")
    return sorted(names)


def _prediction_files(task: str, evaluation: Path) -> list[Path]:
    """Return the files of predictions for questions, or of a known task of multiple choice."""
    answers = [*evaluation.glob("predictions_*.json"), *evaluation.glob("null_odds_*.json")]
    is_choice = task in TASKS and TASKS[task].kind == "multiple_choice"
    tables = evaluation.glob("predictions_*.tsv") if is_choice else ()
    return sorted([*answers, *tables])
