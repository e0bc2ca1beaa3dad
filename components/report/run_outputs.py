"""The outputs of the steps of a run, found in its folder by the hashes in its report's manifest."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from albert_core.artifacts.manifest import MANIFEST_NAME, Manifest, find_manifest, read_manifest
from albert_core.errors import InputError
from albert_core.places.outputs import MODELS_PLACE, PRETRAINED_PLACE
from albert_core.storage import local_path
from components.report.comparison import find_summary

_ARGUMENTS = {
    "vocab": "vocab",
    "records": "records",
    "checkpoint": "pretrained",
    "pretrain": "pretrained",
    "finetune": "finetuned",
    "evaluate": "evaluations",
    "export": "exported",
    "promote": "promotion",
}
_SINGLE = ("vocab", "checkpoint", "pretrain", "export", "promote")


def find_report_inputs(run: str) -> dict[str, Any]:
    """Return the arguments of `write_report` for a finished run, to make its report anew.

    The arguments for the output and the progress are not among them. Models are named by their
    places in the run's folder (`pretrained`, `models/TASK`) where these lead to them, all other
    inputs by their own folders.

    Args:
        run: The run's folder on this machine.

    Raises:
        InputError: It has no report, or the output of a step that led to it is gone.
    """
    report = read_manifest(find_summary(run).parent, step="report")
    outputs = _outputs_below(local_path(run, "run"))
    arguments: dict[str, Any] = {"title": report.config.get("title", Path(run).name)}
    folders: dict[str, list[Path]] = {}
    for name, content_hash in report.inputs.items():
        step = name.split()[0]
        if content_hash not in outputs:
            raise InputError(
                f"{run}: the output {name} of the report is not there; run `albert run` again, "
                "which makes only what is missing"
            )
        folders.setdefault(step, []).append(outputs[content_hash])
    for step, step_folders in folders.items():
        if step in _ARGUMENTS:
            arguments[_ARGUMENTS[step]] = step_folders[0] if step in _SINGLE else step_folders
    models = arguments.get("finetuned", [])
    return {
        **arguments,
        "pretrained": _stable_path(run, PRETRAINED_PLACE, arguments["pretrained"]),
        "finetuned": [_model_path(run, model) for model in models],
        "evaluations": arguments.get("evaluations", []),
        "in_run_folder": False,
    }


def _model_path(run: str, model: Path) -> str:
    """Return the place of a fine-tuned model in a run's folder, or its own folder.

    Models from random weights have their own folder, and so have models to which the place does not
    lead.
    """
    config = read_manifest(model, step="finetune").config
    if config["initialization"] != "pretrained":
        return str(model)
    return _stable_path(run, f"{MODELS_PLACE}/{config['task']}", model)


def _outputs_below(folder: Path) -> Mapping[str, Path]:
    """Return the folders with a manifest below a folder, by the hash of their content.

    If several have the same content, the first one by path is taken. Manifests that cannot be read
    are passed over.
    """
    outputs: dict[str, Path] = {}
    for path in sorted(folder.rglob(MANIFEST_NAME)):
        with contextlib.suppress(InputError):  # another program's file of that name
            manifest: Manifest | None = find_manifest(path.parent)
            if manifest:
                outputs.setdefault(manifest.content_hash, path.parent)
    return outputs


def _stable_path(run: str, place: str, folder: Path) -> str:
    """Return the place in a run's folder if it leads to an output; else the output's own folder.

    Args:
        run: The run's folder.
        place: Path of the place below it, such as `pretrained`.
        folder: The output's own folder.
    """
    path = Path(run) / place
    return str(path if path.resolve() == folder.resolve() else folder)
