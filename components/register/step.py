"""The step `register`: enter the exports of an accepted model into the Vertex AI Model Registry."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from albert_core.artifacts.inputs import input_folder
from albert_core.artifacts.manifest import (
    MANIFEST_NAME,
    Manifest,
    Metrics,
    parse_manifest,
    read_manifest,
)
from albert_core.artifacts.step import run_step
from albert_core.errors import InputError
from albert_core.files.atomic import write_json
from albert_core.files.checksums import DamageError, parse_object
from albert_core.progress import ReportProgress, quiet
from albert_core.storage import join, read_bytes
from components.export.step import EXPORT_NAME
from components.promote.step import PROMOTION_NAME
from components.register.config import VertexModelsConfig
from components.register.serving import container_spec
from components.service_calls import CallConfig, Service

REGISTRATION_NAME = "registration.json"
_MAX_ID_CHARACTERS = 63
_GOOGLE_STORAGE = "gs://"


def register_models(
    *,
    promotion: str | Path,
    exported: str | Path,
    address: str,
    config: VertexModelsConfig,
    date: str,
    title: str,
    output: str | Path,
    work_root: str | Path | None = None,
    calls: CallConfig | None = None,
    progress: ReportProgress = quiet,
) -> Manifest:
    """Enter the exported models of an accepted run in the registry, as versions of NAME-TASK.

    Entered are the models that were exported in `config.format`; each version becomes the default
    one of its model. registration.json lists them. A run whose model was not accepted enters none
    and does not fail. Killed and repeated, the step finds what it entered before, and does not
    enter it again. If `output` holds this work already, nothing is done.

    Args:
        promotion: Output of the step `promote`.
        exported: Output of the step `export`, of the same run (not checked).
        address: Where Vertex AI finds that folder: gs://.
        config: The registry; project, location, format and image are given.
        date: Date of the run, which the versions have as a label.
        title: Title of the run, in the versions' descriptions.
        output: Folder that receives registration.json, local, gs:// or s3://; made here.
        work_root: Folder of the work folders; beside `output` when not given.
        calls: Time-outs and retries of calls to Vertex AI; the defaults when None.
        progress: Called before each model is entered, or found again.

    Returns:
        The manifest; its metric `num_registered` counts the models that were entered or found.

    Raises:
        InputError: An input is missing or damaged, `address` is not in gs://, the id of a model
            would be too long, or there are no Google credentials; or `output` holds something else,
            or another process does this work.
        ServiceError: Vertex AI refused, or kept failing; or a storage failed.
        StepFailedError: Another process has taken over this work.
    """
    if not address.startswith(_GOOGLE_STORAGE):
        raise InputError(
            f"export {address}: expected a gs:// address, from which Vertex AI takes models"
        )
    decided = read_manifest(input_folder(promotion), step="promote")
    # Of the exports, which may be large, no more is read than what they are.
    manifest_path = join(str(exported), MANIFEST_NAME)
    exports = parse_manifest(read_bytes(manifest_path), manifest_path)
    is_promoted = _read_json(str(input_folder(promotion) / PROMOTION_NAME))["is_promoted"]
    tasks = _exported_tasks(str(exported), config.format) if is_promoted else []
    ids = {task: model_id(config.name, task) for task in tasks}

    def register_exports(results: Path, _: Path) -> Metrics:
        """Enter the models, write registration.json, return how many there are."""
        models = {}
        registry: Any = _registry(config, calls or CallConfig()) if ids else None
        for index, (task, name) in enumerate(ids.items()):
            progress(index, len(ids), f"entering {task}")
            values = model_values(config, task, address=address, date=date, title=title)
            models[task] = registry.add_version(name, values)
        write_json(results / REGISTRATION_NAME, {"date": date, "models": models})
        return {"num_registered": len(models)}

    return run_step(
        "register",
        config={"date": date, "title": title, "vertex_models": dataclasses.asdict(config)},
        inputs={"promotion": decided.content_hash, "exported": exports.content_hash},
        output=output,
        work_root=work_root,
        body=register_exports,
    )


def model_values(
    config: VertexModelsConfig, task: str, *, address: str, date: str, title: str
) -> dict[str, Any]:
    """Return the JSON of a model in the registry: its files, and the container that serves them.

    Args:
        config: Name, format, image and labels.
        task: Task of the model.
        address: gs:// folder of the exports, with a folder for each task.
        date: Date of its run.
        title: Title of its run.
    """
    return {
        "displayName": f"{config.name}-{task}",
        "versionDescription": f"{title}, {date}",
        "artifactUri": join(join(address, task), config.format),
        "containerSpec": container_spec(config.image),
        "labels": {**config.labels, "date": date},
    }


def model_id(name: str, task: str) -> str:
    """Return the id of a task's model, `NAME-TASK` with 63 characters at most.

    The task is in small letters, with a `-` in place of all that is no letter from a to z, no
    digit, - or _. The name is taken as it is.

    Raises:
        InputError: The id would be longer.
    """
    model = f"{name}-{re.sub(r'[^a-z0-9_-]+', '-', task.lower())}"
    if len(model) > _MAX_ID_CHARACTERS:
        raise InputError(
            f"vertex_models.name: got {name!r}, with which {model} has {len(model)} characters, "
            f"expected {_MAX_ID_CHARACTERS} at most; take a shorter name"
        )
    return model


def _exported_tasks(folder: str, format_name: str) -> list[str]:
    """Return the tasks whose models were exported in a format; those held back are not among them.

    Args:
        folder: Output of the step `export`, local, gs:// or s3://.
        format_name: The format.

    Raises:
        InputError: The output's description is missing, or cannot be read.
        ServiceError: The storage failed.
    """
    exports = _read_json(join(folder, EXPORT_NAME))["models"]
    return [export["task"] for export in exports if format_name in export["differences"]]


def _registry(config: VertexModelsConfig, calls: CallConfig) -> Any:
    """Return the registry, which is imported only where a model is entered.

    Raises:
        InputError: There are no credentials, or they would leave this machine unencrypted.
    """
    from components.register.vertex_models import VertexModels

    service = Service(name=f"Vertex AI in {config.location}", config=calls)
    return VertexModels(config.project, config.location, config.endpoint, service)


def _read_json(path: str) -> Mapping[str, Any]:
    """Return the JSON object in a file of a finished step, in any storage.

    Raises:
        InputError: The file is missing, cannot be read, or is no JSON object.
        ServiceError: The storage failed.
    """
    try:
        return parse_object(read_bytes(path))
    except DamageError as error:
        raise InputError(f"{path}: damaged ({error}); make it again") from error
