"""Describe a checkpoint or a step's folder by its headers alone: no Keras, no arrays in memory."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path

from albert_core.artifacts.manifest import Manifest, find_manifest
from albert_core.checkpoints.huggingface import HUGGINGFACE_CONFIG_NAME, weights_path
from albert_core.checkpoints.huggingface_config import classifies_tokens, config_from_huggingface
from albert_core.checkpoints.huggingface_weights import original_names
from albert_core.checkpoints.kinds import (
    HUB_ASSETS,
    HUB_VARIABLES,
    STATE_NAME,
    VARIABLES_NAME,
    PathKind,
    detect,
)
from albert_core.checkpoints.names import (
    CLASSIFIER_OUTPUTS,
    GLOBAL_STEP,
    SLOTS,
    find_heads,
    find_pooling,
    is_training_state,
    unused_variables,
)
from albert_core.checkpoints.purpose import Purpose, read_huggingface_purpose, read_purpose
from albert_core.checkpoints.tf1 import (
    Variable,
    find_tf1_checkpoint,
    list_tf1_checkpoint,
    read_tf1_checkpoint,
)
from albert_core.checkpoints.vocabulary import summarize_vocabulary
from albert_core.config import CONFIG_NAME, WEIGHTS_NAME, AlbertConfig
from albert_core.errors import InputError
from albert_core.pooling import HeadPooling
from albert_core.presets import PRESETS
from albert_core.settings.json_values import read_json_object
from albert_core.storage import local_folder

_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelSummary:
    """Architecture and size of the model in a checkpoint.

    Attributes:
        config: The architecture; None where no file says.
        size: Name of the preset with that architecture, such as `base v2`; empty if none has it.
        num_parameters: Parameters of the model, without the optimizer's variables, and without
            groups that no layer uses.
        num_variables: Variables of the model, likewise.
        dtypes: Names of their types, such as `float32`, each once, sorted.
        heads: Heads by the names in `albert_core.checkpoints.names.HEADS`, sorted.
        num_labels: Outputs of its classifier; 0 without one.
        pooling: What its classifier reads of the encoder's outputs; `pooler` without one.
        num_slots: Moments and averages that the optimizer keeps of variables.
        num_unused: Variables of groups that no layer uses.
        global_step: Training steps made; None if the checkpoint does not say.
    """

    config: AlbertConfig | None
    size: str
    num_parameters: int
    num_variables: int
    dtypes: tuple[str, ...]
    heads: tuple[str, ...]
    num_labels: int = 0
    pooling: HeadPooling = "pooler"
    num_slots: int = 0
    num_unused: int = 0
    global_step: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Description:
    """The contents of a path, as `albert info` prints them.

    Attributes:
        path: The path.
        kind: The kind of checkpoint or folder.
        model: The model, if there is one.
        purpose: What the model was fine-tuned for; all empty if nothing says.
        vocabulary: Kind, size and case of the vocabulary as text, or why it cannot be used
            (`summarize_vocabulary`); empty if there is none.
        manifest: Manifest of the step that wrote the folder, if one did.
        files: Size in bytes by path in the folder, sorted.
    """

    path: str
    kind: PathKind
    model: ModelSummary | None
    purpose: Purpose
    vocabulary: str
    manifest: Manifest | None
    files: Mapping[str, int]


def describe(path: str | Path) -> Description:
    """Describe a checkpoint of any kind, or the results of a step, by headers and side files.

    A vocabulary that cannot be used is no error: the description says so. An address in a bucket is
    fetched first.

    Raises:
        InputError: The path is neither, or another file in it cannot be read.
        ServiceError: The storage of an address in the cloud failed.
    """
    path = local_folder(path)
    kind = detect(path)
    readers: Mapping[PathKind, Callable[[Path], ModelSummary]] = {
        "tf1": _tf1_model,
        "huggingface": _huggingface_model,
        "hub": _hub_model,
        "keras": _folder_model,
        "training": _training_model,
    }
    folder = path if path.is_dir() else path.parent
    if kind == "hub":
        folder = path / HUB_ASSETS
    model = readers[kind](path) if kind in readers else None
    if kind == "huggingface":
        values = read_json_object(path / HUGGINGFACE_CONFIG_NAME)
        purpose = read_huggingface_purpose(path, values, model.num_labels if model else 0)
    else:
        purpose = read_purpose(folder)
    return Description(
        path=str(path),
        kind=kind,
        model=model,
        purpose=purpose,
        vocabulary=summarize_vocabulary(folder),
        manifest=find_manifest(path if path.is_dir() else path.parent),
        files=list_sizes(path),
    )


def size_name(config: AlbertConfig) -> str:
    """Return the presets with an architecture, such as `base v2`; empty if there is none.

    Several are joined by "or". The size of the vocabulary and the initializer may differ.
    """
    free = {"vocab_size": config.vocab_size, "initializer_range": config.initializer_range}
    names = [
        name.replace("_", " ")
        for name, sizes in PRESETS.items()
        if AlbertConfig(**{**sizes, **free}) == config
    ]
    return " or ".join(names)


def _hub_model(folder: Path) -> ModelSummary:
    """Return the model in a TF-Hub module or SavedModel; errors are those of `_tf1_model`."""
    return _tf1_model(folder / HUB_VARIABLES, config_path=folder / HUB_ASSETS / CONFIG_NAME)


def _tf1_model(path: Path, config_path: Path | None = None) -> ModelSummary:
    """Return the model in a TensorFlow 1 checkpoint.

    Reads no array but global_step.

    Args:
        path: A checkpoint's prefix, or a folder with one.
        config_path: The configuration, which may be missing; albert_config.json beside the
            checkpoint when not given.

    Raises:
        InputError: There is no checkpoint, or it or the configuration cannot be read.
    """
    prefix = find_tf1_checkpoint(path)
    variables = list_tf1_checkpoint(prefix)
    config_path = config_path or prefix.with_name(CONFIG_NAME)
    config = AlbertConfig.from_json_file(config_path) if config_path.is_file() else None
    step = None
    if GLOBAL_STEP in variables:
        step = int(read_tf1_checkpoint(prefix, names=[GLOBAL_STEP])[GLOBAL_STEP])
    return _summarize(variables, config, global_step=step)


def _folder_model(folder: Path) -> ModelSummary:
    """Return the model in a folder of this program.

    Raises InputError if a file is missing or cannot be read.
    """
    config = AlbertConfig.from_json_file(folder / CONFIG_NAME)
    return _summarize(_list_safetensors(folder / WEIGHTS_NAME), config)


def _huggingface_model(folder: Path) -> ModelSummary:
    """Return the model in a folder of transformers, without parameters the original has not.

    Raises:
        InputError: A file is missing or damaged, or the model is no ALBERT of the original's kind.
    """
    path = folder / HUGGINGFACE_CONFIG_NAME
    values = read_json_object(path)
    config, _ = config_from_huggingface(values, source=str(path))
    variables = _list_safetensors(weights_path(folder))
    names = original_names(config, variables, is_token_classifier=classifies_tokens(values))
    return _summarize({original: variables[name] for name, original in names.items()}, config)


def _training_model(folder: Path) -> ModelSummary:
    """Return the model in a training's checkpoint, which holds no configuration.

    Raises InputError if its files cannot be read.
    """
    variables = _list_safetensors(folder / VARIABLES_NAME)
    return _summarize(
        variables, None, global_step=read_json_object(folder / STATE_NAME).get("step")
    )


def _summarize(
    variables: Mapping[str, Variable],
    config: AlbertConfig | None,
    *,
    global_step: int | None = None,
) -> ModelSummary:
    """Return a summary of the variables in a file, without those of the training.

    Of these the optimizer's slots are counted in `num_slots`, and the others left out; variables of
    groups that no layer uses are counted in `num_unused` alone, if the architecture is known.

    Args:
        variables: Shapes and types by the original's names.
        config: The architecture, if known.
        global_step: Training steps made, if known.
    """
    model = {name: v for name, v in variables.items() if not is_training_state(name)}
    unused = unused_variables(config, model) if config else frozenset()
    weights = {name: v for name, v in model.items() if name not in unused}
    return ModelSummary(
        config=config,
        size=size_name(config) if config else "",
        num_parameters=sum(math.prod(variable.shape) for variable in weights.values()),
        num_variables=len(weights),
        dtypes=tuple(sorted({variable.dtype for variable in weights.values()})),
        heads=tuple(sorted(find_heads(weights))),
        num_labels=next((v.shape[0] for n, v in weights.items() if n in CLASSIFIER_OUTPUTS), 0),
        pooling=find_pooling(weights),
        num_slots=sum(name.endswith(SLOTS) for name in variables),
        num_unused=len(unused),
        global_step=global_step,
    )


def _list_safetensors(path: Path) -> dict[str, Variable]:
    """Return shape and type of every array in a safetensors file, from its header.

    Types have NumPy's names; one without such a name here keeps its name in the file.

    Raises:
        InputError: The file is missing or damaged.
    """
    # Not above: `albert --help` works where no model can be read.
    import safetensors

    try:
        with safetensors.safe_open(path, "numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {
                name: Variable(
                    shape=tuple(part.get_shape()),
                    dtype=_DTYPES.get(part.get_dtype(), part.get_dtype()),
                )
                for name, part in slices.items()
            }
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"weights {path}: cannot be read as safetensors ({error})") from error


def list_sizes(path: Path) -> dict[str, int]:
    """Return the sizes in bytes of all files in a folder, at any depth, by relative path, sorted.

    For the prefix of a TensorFlow 1 checkpoint, only files named `<prefix>.*` count, with paths
    relative to their folder.
    """
    folder, pattern = path, "*"
    if not path.is_dir():
        folder, pattern = path.parent, f"{path.name.removesuffix('.index')}.*"
    return {
        file.relative_to(folder).as_posix(): file.stat().st_size
        for file in sorted(folder.rglob(pattern))
        if file.is_file()
    }
