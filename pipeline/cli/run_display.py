"""What `albert info` prints of a run, and the commands that a run ends with."""

import json
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import rich.table

from albert_core.checkpoints.side_files import TASK_NAME
from albert_core.errors import InputError
from albert_core.inference.examples import sample_fields
from albert_core.inference.signature import TaskSignature
from albert_core.inference.task_settings import parse_task
from albert_core.places.models import list_remote_models, run_models
from albert_core.places.outputs import MODELS_PLACE, PRETRAINED_PLACE, RUN_CONFIG_NAME
from albert_core.places.scores import TaskScore
from albert_core.storage import exists, is_remote, join, read_bytes
from components.number_formats import format_points
from pipeline.cli.tables import make_console, make_table, points_or_nothing, steps_table
from pipeline.local.run_state import RunDescription

_TEXT = "A short text to try the model with."


def print_run(run: RunDescription) -> None:
    """Print how a run ended, its steps, scores and models, and what to type next."""
    console = make_console()
    heading = f"{run.folder}: {', '.join(filter(None, (run.title, run.state)))}"
    heading += f" ({run.message})" * bool(run.message)
    console.print(heading, markup=False, soft_wrap=True)
    if run.steps:
        steps = [vars(step) for step in run.steps]
        console.print()
        console.print(steps_table(steps, {step.name: step.state for step in run.steps}))
    if run.scores:
        console.print()
        console.print(_scores_table(run.scores))
    if run.models:
        console.print("\nModels:")
        for place in run.models:
            console.print(f"    {join(run.folder, place)}", markup=False, soft_wrap=True)
    _print_commands(_commands_for(run))


def print_next_commands(folder: str) -> None:
    """Print commands for a finished run that work as they are printed, from the current folder.

    `albert info`, and `predict` and `serve` with its first fine-tuned model, if it has one whose
    task this version can read.

    Args:
        folder: The run's folder, local or in a bucket.

    Raises:
        ServiceError: The storage of the bucket failed.
    """
    if is_remote(folder):
        models = list_remote_models(folder)
    else:
        models = {place: str(model) for place, model in run_models(Path(folder)).items()}
    commands = [_command("info", folder)]
    if model := _first_model(models):
        commands += _model_commands(folder, *model)
    _print_commands(commands)


def _commands_for(run: RunDescription) -> Iterator[str]:
    """Yield what to type next for a run: to go on with it, then to use its models.

    Only local runs that failed or were interrupted go on. The models used are the pretrained one,
    for vectors, and the first fine-tuned one, each if it is there.
    """
    if run.state in ("failed", "interrupted") and not is_remote(run.folder):
        config = join(run.folder, RUN_CONFIG_NAME)
        yield _command("run", "--config", config, "--output", run.folder)
    if PRETRAINED_PLACE in run.models:
        text = f"echo {shlex.quote(_TEXT)}"
        place, vectors = join(run.folder, PRETRAINED_PLACE), join(run.folder, "vectors.npy")
        embed = _command("embed", place, "-", "--output", vectors)
        yield f"{text} | {embed}"
    if model := _first_model(run.models):
        yield from _model_commands(run.folder, *model)


def _first_model(models: Mapping[str, str]) -> tuple[str, str] | None:
    """Return place and folder of a run's first fine-tuned model; None if it has none."""
    finetuned = (item for item in models.items() if item[0].startswith(f"{MODELS_PLACE}/"))
    return next(finetuned, None)


def _model_commands(run: str, place: str, folder: str) -> list[str]:
    """Return the commands that predict with a model, for an example of its kind, and serve it.

    An empty list if its task is one that this version cannot read; without a declaration it is
    taken for a classification.

    Args:
        run: The run's folder.
        place: The model's place below it, by which the commands name the model.
        folder: The model's own folder, in which its task is declared.

    Raises:
        ServiceError: The storage of the model failed.
    """
    try:
        path = join(folder, TASK_NAME)
        declaration = json.loads(read_bytes(path)) if exists(path) else None
        task = parse_task(declaration, source=Path(path))
    except InputError:
        return []
    signature = TaskSignature.from_task(task) if task else TaskSignature(kind="classification")
    example = json.dumps(sample_fields(signature, _TEXT))
    predict = _command("predict", join(run, place), "-", "--format", "jsonl")
    return [f"echo {shlex.quote(example)} | {predict}", _command("serve", join(run, place))]


def _command(*words: str) -> str:
    """Return a command line of this program, with its words quoted.

    The program is `albert`, or the path it was called by if PATH has no `albert`.
    """
    program = Path(sys.argv[0])
    is_found = program.name != "albert" or shutil.which("albert") is not None
    return shlex.join(["albert" if is_found else str(program), *words])


def _print_commands(commands: Iterator[str] | Sequence[str]) -> None:
    """Print commands under a heading, unwrapped, so that they can be copied."""
    print("\nNext:")
    for command in commands:
        print(f"    {command}")


def _scores_table(scores: Sequence[TaskScore]) -> rich.table.Table:
    """Return the table of a run's scores in points, in their order; what is not known is blank."""
    numbers = ("score", "95 % interval", "random weights", "without a model", "majority")
    table = make_table("task", "metric", *numbers, right=numbers)
    for score in scores:
        has_interval = score.low is not None and score.high is not None
        interval = f"{format_points(score.low)} to {format_points(score.high)}"
        table.add_row(
            score.task,
            (score.metric or "not evaluated").replace("_", " "),
            points_or_nothing(score.score),
            interval if has_interval else "",
            points_or_nothing(score.random_weights),
            points_or_nothing(score.without_model),
            points_or_nothing(score.majority),
        )
    return table
