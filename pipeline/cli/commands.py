"""The table of the commands of `albert`.

A new command is a function and a line here; its signature and docstring are its options and its
help (`pipeline.cli.parsing`, `pipeline.cli.help`). The module of a command is imported when it is
called: `albert --help` shows the lines of this table, and imports none of them.
"""

import dataclasses
import importlib
from collections.abc import Callable, Mapping

Command = Callable[..., None]


@dataclasses.dataclass(frozen=True)
class CommandEntry:
    """A command that is imported when it is needed.

    Attributes:
        summary: Its line in the list of commands; its docstring says more.
        load: Returns its function.
    """

    summary: str
    load: Callable[[], Command]


@dataclasses.dataclass(frozen=True)
class CommandGroup:
    """A command that only has commands of its own, such as `schedule`.

    Attributes:
        summary: Its line in the list of commands.
        commands: Its commands by their names.
    """

    summary: str
    commands: Mapping[str, CommandEntry]


Commands = Mapping[str, CommandEntry | CommandGroup]


def _entry(module: str, function: str, summary: str) -> CommandEntry:
    """Return the entry of a function in a module of this package.

    The module is imported when the entry is loaded.
    """

    def load() -> Command:
        command: Command = getattr(importlib.import_module(f"pipeline.cli.{module}"), function)
        return command

    return CommandEntry(summary, load)


COMMANDS: Commands = {
    "run": _entry("run_commands", "run", "Run the whole pipeline on this machine."),
    "demo-data": _entry("step_commands", "demo_data", "Make the demo's corpus and tasks."),
    "vocab": _entry("step_commands", "vocab", "Train the vocabulary of a corpus."),
    "records": _entry("step_commands", "records", "Turn a corpus into pretraining records."),
    "pretrain": _entry("step_commands", "pretrain", "Pretrain a model on records."),
    "finetune": _entry("step_commands", "finetune", "Fine-tune a pretrained model on a task."),
    "evaluate": _entry("step_commands", "evaluate", "Score fine-tuned models on their tasks."),
    "probe": _entry("probe_command", "probe", "Tell what a model knows of a task, untuned."),
    "report": _entry("step_commands", "report", "Write the report of a run, or compare runs."),
    "info": _entry("model_commands", "info", "Tell what a run, a checkpoint or any folder is."),
    "predict": _entry("prediction_commands", "predict", "Predict for every row of a file."),
    "embed": _entry("prediction_commands", "embed", "Write a vector for every text of a file."),
    "serve": _entry("model_commands", "serve", "Answer requests over HTTP with a model."),
    "export": _entry("model_commands", "export", "Publish a model in formats that others run."),
    "card": _entry("model_commands", "card", "Write the card of a model."),
    "convert": _entry("model_commands", "convert", "Write a checkpoint as another kind."),
    "estimate": _entry("run_commands", "estimate", "Tell what a training needs on TPUs or GPUs."),
    "compile": _entry("compile_command", "compile_for", "Compile a run for a platform."),
    "submit": _entry("platform_commands", "submit", "Start a run on Kubeflow or Vertex AI."),
    "schedule": CommandGroup(
        "Run the pipeline regularly on Kubeflow or Vertex AI.",
        {
            "create": _entry("platform_commands", "create_schedule", "Make or change a schedule."),
            "list": _entry("platform_commands", "list_schedules", "List the schedules."),
            "pause": _entry("platform_commands", "pause_schedule", "Pause a schedule."),
            "resume": _entry("platform_commands", "resume_schedule", "Resume a paused schedule."),
            "delete": _entry("platform_commands", "delete_schedule", "Remove a schedule."),
        },
    ),
    "completion": _entry("completion_command", "completion", "Print completions for a shell."),
}
