"""Detect what a path holds by the names of its files."""

from pathlib import Path
from typing import Literal

from albert_core.artifacts.manifest import MANIFEST_NAME
from albert_core.checkpoints.huggingface import (
    HUGGINGFACE_CONFIG_NAME,
    OTHER_WEIGHTS_NAMES,
)
from albert_core.config import CONFIG_NAME, WEIGHTS_NAME
from albert_core.errors import InputError
from albert_core.storage import local_path

# Files of a training's checkpoint, repeated from `albert_core.training`, which imports Keras.
VARIABLES_NAME, STATE_NAME = "variables.safetensors", "state.json"

CheckpointFormat = Literal["tf1", "huggingface", "keras"]
PathKind = Literal[CheckpointFormat, "hub", "training", "artifact"]

# Places in a TF-Hub module, which is a SavedModel.
HUB_VARIABLES, HUB_ASSETS = "variables/variables", "assets"


def detect(path: str | Path) -> PathKind:
    """Return the kind of checkpoint or folder at a path, by the names of its files.

    No file is opened. A folder with the files of several kinds is the first of `keras`,
    `huggingface`, `hub`, `tf1`, `training`, `artifact`.

    Returns:
        `tf1`: the prefix of a checkpoint of the original, with or without `.index` (with it, the
        file need not exist), or a folder of them; `huggingface`: a folder of transformers, also
        with weights in a form that is not read here; `hub`: a TF-Hub module of the original, or a
        SavedModel of this program; `keras`: a model folder of this program; `training`: a
        checkpoint of an unfinished training; `artifact`: the results of any other step.

    Raises:
        InputError: The path is not one of these, or is an address in the cloud.
    """
    path = local_path(path, "path")
    if not path.is_dir():
        if Path(f"{path}.index").is_file() or path.suffix == ".index":
            return "tf1"
        raise InputError(
            f"{path}: no folder, and no {path.name}.index beside it; expected a model's folder, or "
            "the prefix of a TensorFlow 1 checkpoint, such as folder/model.ckpt-best"
        )
    # In order: a step's model folder has a manifest, too.
    kinds: dict[PathKind, bool] = {
        "keras": _has(path, CONFIG_NAME) and _has(path, WEIGHTS_NAME),
        "huggingface": _has(path, HUGGINGFACE_CONFIG_NAME)
        and _has(path, WEIGHTS_NAME, *OTHER_WEIGHTS_NAMES),
        "hub": _has(path, "saved_model.pb") and _has(path, f"{HUB_VARIABLES}.index"),
        "tf1": any(path.glob("*.index")),
        "training": _has(path, VARIABLES_NAME) and _has(path, STATE_NAME),
        "artifact": _has(path, MANIFEST_NAME),
    }
    for kind, fits in kinds.items():
        if fits:
            return kind
    raise InputError(
        f"{path}: not a folder this program knows; expected {CONFIG_NAME} and {WEIGHTS_NAME} "
        f"(ours), {HUGGINGFACE_CONFIG_NAME} and {WEIGHTS_NAME} (Hugging Face), *.index files "
        f"(TensorFlow 1), or {MANIFEST_NAME} (a step of the pipeline)"
    )


def _has(folder: Path, *names: str) -> bool:
    """Return whether a folder has at least one of the files."""
    return any((folder / name).is_file() for name in names)
