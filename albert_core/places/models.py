"""From a path that a person gives to the model that is meant; every command goes through here.

A path may name a model itself, a run's folder, or any place in one. A run of an earlier version has
no places on the disk: they are found among its artifacts, under the same names.
"""

import fnmatch
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from albert_core.checkpoints.huggingface import OTHER_WEIGHTS_NAMES
from albert_core.checkpoints.kinds import detect
from albert_core.config import WEIGHTS_NAME
from albert_core.errors import InputError
from albert_core.exports.formats import FORMATS, find_export_format
from albert_core.places.outputs import (
    EXPORT_PLACE,
    MODELS_PLACE,
    PRETRAINED_PLACE,
    find_outputs,
    is_run_folder,
)
from albert_core.storage import find_files, is_remote, join

Preference = Literal["finetuned", "pretrained"]
"""What a run's folder stands for where it has both."""

# Files by which a folder in a listing is known to be a model's.
_MODEL_FILES = (
    WEIGHTS_NAME,
    *OTHER_WEIGHTS_NAMES,
    *(spec.files[0] for spec in FORMATS.values() if spec.files),
    "*.index",
)
# Folders of a run that are models, or hold some.
_GROUPS = (f"{MODELS_PLACE}/*", PRETRAINED_PLACE, f"{EXPORT_PLACE}/*/*")
# Where the models in a folder that is no run's may be: in a part of a run that was copied, too.
_ANYWHERE = ("*", "*/*", f"{EXPORT_PLACE}/*/*")
_MOST_PARENTS = 4  # from export/TASK/FORMAT to the run's folder, and one more


def find_model(path: str | Path, *, prefer: Preference = "finetuned") -> str:
    """Return the path of the one model that a path stands for.

    A run's folder stands for its fine-tuned model or its pretrained one; an export is meant only by
    a path below `export`. A path that stands for no model is returned as it is, so that whoever
    reads it says what is wrong with it.

    Args:
        path: A model's folder or TensorFlow 1 prefix, a run's folder or a place in it, or a folder
            that holds models; local, gs:// or s3://.
        prefer: The kind of model that a run's folder stands for if it has one.

    Raises:
        InputError: There are several such models; the message lists them. Or the path is a local
            run's folder without a model, or a place of such a run where nothing is.
        ServiceError: The storage failed.
    """
    models = find_models(path, prefer=prefer)
    if len(models) > 1:
        raise InputError(f"{path}: holds the models {', '.join(models)}; give the path of one")
    return next(iter(models.values()), str(path))


def find_models(path: str | Path, *, prefer: Preference = "finetuned") -> dict[str, str]:
    """Return the paths of all models that a path stands for, by the names to choose them by.

    The names are paths, too: that of the model itself, or its place in the run or folder. A run's
    folder stands for the models of the kind that `prefer` names, without any for the other kind,
    without both for all. Empty for a path that stands for no model.

    Raises:
        InputError: The path is a local run's folder without a model, or a place of such a run where
            nothing is.
        ServiceError: The storage failed.
    """
    if is_remote(path):
        return _find_remote_models(str(path).rstrip("/"), prefer)
    path = Path(path)
    if _is_model(path):
        return {str(path): str(path)}
    run = _find_run(path)
    if run is not None and (chosen := _find_in_run(run, path, prefer)):
        return chosen
    names = _choose({name: str(path / name) for name in _names_of_models(path)}, "", prefer)
    return {str(path / name): address for name, address in names.items()}


def find_place(path: str | Path) -> str:
    """Return the folder behind a place of a run of an earlier version, which is not on the disk.

    Any other path is returned as it is: one that exists, one in a bucket, and one that is no place
    of a run.

    Args:
        path: Such as `runs/x/vocab` or `runs/x/models/cola`, local, gs:// or s3://.
    """
    if is_remote(path) or Path(path).exists():
        return str(path)
    run = _find_run(Path(path))
    places = find_outputs(run).places() if run else {}
    return str(places.get(_name_in(run, Path(path)), path)) if run else str(path)


def _is_model(path: Path) -> bool:
    """Return whether a local path is a checkpoint of any kind or an export."""
    if find_export_format(path):
        return True
    try:
        return detect(path) != "artifact"
    except InputError:
        return False


def _find_run(path: Path) -> Path | None:
    """Return the folder of the run that a path is, or is in by at most four levels; else None."""
    candidates = [path, *list(path.parents)[:_MOST_PARENTS]]
    return next((folder for folder in candidates if is_run_folder(folder)), None)


def _name_in(run: Path, path: Path) -> str:
    """Return a path's name in the run's folder; empty for the folder itself."""
    return "" if path == run else path.relative_to(run).as_posix()


def run_models(run: Path) -> dict[str, Path]:
    """Return the folders of all models of a run by their places, exports included.

    Where a place on the disk holds a model, such places are the folders; else those of the
    artifacts. Empty for a run without a model.
    """
    on_disk = {
        path.relative_to(run).as_posix(): path
        for pattern in _GROUPS
        for path in sorted(run.glob(pattern))
        if _is_model(path)
    }
    return on_disk or _models_among_artifacts(run)


def _models_among_artifacts(run: Path) -> dict[str, Path]:
    """Return the models of a run of an earlier version by the places they would have.

    Exports have a place for each task and format.
    """
    outputs = find_outputs(run)
    places = {name: Path(folder) for name, folder in outputs.places().items()}
    models = {name: folder for name, folder in places.items() if _is_model(folder)}
    for task, folder in outputs.exports.items():
        formats = sorted(entry for entry in Path(folder).iterdir() if _is_model(entry))
        models |= {f"{EXPORT_PLACE}/{task}/{entry.name}": entry for entry in formats}
    return models


def _find_in_run(run: Path, path: Path, prefer: Preference) -> dict[str, str]:
    """Return the models that a run's folder or a place in it stands for; empty for other folders.

    Args:
        run: The run's folder.
        path: That folder, or a path in it.
        prefer: Whether the run's folder stands for its fine-tuned models or for the pretrained one.

    Returns:
        The folders of the models by the paths of their places.

    Raises:
        InputError: There is nothing at the path, or the run has no model yet.
    """
    models = run_models(run)
    name = _name_in(run, path)
    chosen = _choose({place: str(folder) for place, folder in models.items()}, name, prefer)
    if not chosen and (not name or not path.exists()):
        there = ", ".join(str(run / place) for place in models) or "no model yet"
        raise InputError(f"{path}: no such model in this run, which has {there}")
    return {str(run / place): folder for place, folder in chosen.items()}


def _choose(models: Mapping[str, str], name: str, prefer: Preference) -> dict[str, str]:
    """Return the models that a place stands for, from those of a run or of a folder of models.

    A place stands for itself and the models below it. The folder itself stands for the fine-tuned
    models or the pretrained one, as preferred; without these for the other kind, without both for
    all models.

    Args:
        models: All models of a run, or of a folder of models, by their places.
        name: The place; empty for the folder itself.
        prefer: What the folder of a run stands for.
    """
    if name:
        return {
            place: folder
            for place, folder in models.items()
            if place == name or place.startswith(f"{name}/")
        }
    finetuned = {place: models[place] for place in models if place.startswith(f"{MODELS_PLACE}/")}
    pretrained = {place: models[place] for place in models if place == PRETRAINED_PLACE}
    candidates = (finetuned, pretrained) if prefer == "finetuned" else (pretrained, finetuned)
    return candidates[0] or candidates[1] or dict(models)


def _names_of_models(folder: Path) -> list[str]:
    """Return the names of the models in a local folder that is no run's.

    They are looked for one and two folders deep, and as export/TASK/FORMAT; sorted.
    """
    names = {
        entry.relative_to(folder).as_posix()
        for pattern in _ANYWHERE
        for entry in folder.glob(pattern)
        if entry.is_dir() and _is_model(entry)
    }
    return sorted(names)


def _find_remote_models(address: str, prefer: Preference) -> dict[str, str]:
    """Return the models that an address in a bucket stands for, from its files' names alone.

    Both keys and values are addresses of models. An address that is a model itself stands for that.
    Any other folder stands for the fine-tuned models or the pretrained one of a run, whichever
    `prefer` names; without these for the other kind, without both for all models in it.

    Empty for a prefix of a TensorFlow 1 checkpoint, a folder without any file, or one that must not
    be read.

    Raises:
        ServiceError: The storage failed.
    """
    models = list_remote_models(address)
    if "" in models:
        return {address: address}
    return {join(address, name): there for name, there in _choose(models, "", prefer).items()}


def list_remote_models(address: str) -> dict[str, str]:
    """Return all models in a folder of a bucket by their places in it, from its files' names alone.

    They are looked for one and two folders deep, and as export/TASK/FORMAT, and are sorted; none
    where there are no files or the bucket must not be read. The folder itself, if it is a model,
    has the name `""`, and is all there is.

    Raises:
        ServiceError: The storage failed.
    """
    try:
        files = find_files(address)
    except InputError:
        return {}
    names = [file.path.removeprefix(address).lstrip("/").rpartition("/") for file in files]
    folders = sorted({folder for folder, _, file in names if _is_model_file(file)})
    if "" in folders:
        return {"": address}
    return {
        name: join(address, name)
        for name in folders
        if any(_matches(name, pattern) for pattern in _ANYWHERE)
        and name.rpartition("/")[0] not in folders  # the variables of a SavedModel
    }


def _is_model_file(name: str) -> bool:
    """Return whether a file of this name, without folders, makes its folder a model's."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in _MODEL_FILES)


def _matches(name: str, pattern: str) -> bool:
    """Return whether a relative folder matches a pattern whose `*` is one part of the path."""
    parts, wanted = name.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))
