"""Read and write checkpoints of the original: TensorFlow 1, keyed by names, file format 2.

`tf.train.Checkpoint` of TensorFlow 2 keys by objects instead, and cannot write what the
original's scripts restore. The raw reader and the raw operation do both.
"""

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from albert_core.checkpoints.names import (
    GLOBAL_STEP,
    SLOTS,
    get_variable_name,
    is_training_state,
)
from albert_core.config import CONFIG_NAME
from albert_core.errors import InputError
from albert_core.files.atomic import write_atomically

if TYPE_CHECKING:
    import keras

STATE_NAME = "checkpoint"
CHECKPOINT_ENDS = (".meta", ".data-00000-of-00001", ".index")  # what completes a checkpoint last
_HUB_SCOPE = "module/"  # of the variables in TF-Hub modules
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"  # key of every checkpoint that is keyed by objects


@dataclasses.dataclass(frozen=True)
class Variable:
    """Shape and type of a variable in a file."""

    shape: tuple[int, ...]
    dtype: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Restored:
    """The result of `load_tf1_checkpoint`.

    Attributes:
        restored: Names of the variables that were assigned.
        ignored: Names in the checkpoint that were not used.
    """

    restored: tuple[str, ...]
    ignored: tuple[str, ...]


def find_tf1_checkpoint(path: str | Path) -> Path:
    """Return the prefix of the checkpoint that a path names.

    Args:
        path: A prefix, such as `folder/model.ckpt-best`, with or without `.index`; or a folder with
            one checkpoint, or with several and a `checkpoint` file that names one of them. If that
            names one that is gone, as the original's scripts leave it when they rename the best
            one, the one whose prefix ends in `-best` counts.

    Raises:
        InputError: There is no checkpoint, or more than one; or its index or a shard is missing.
    """
    path = Path(path)
    if not path.is_dir():
        prefix = path.with_name(path.name.removesuffix(".index"))
        _refuse_missing_files(prefix)
        return prefix
    prefixes = sorted(index.name.removesuffix(".index") for index in path.glob("*.index"))
    if len(prefixes) > 1 and (latest := _read_latest_name(path)):
        best = [prefix for prefix in prefixes if prefix.endswith("-best")]
        prefixes = [latest] if latest in prefixes else best or prefixes
    if len(prefixes) != 1:
        raise InputError(
            f"checkpoint {path}: holds {', '.join(prefixes) or 'no *.index file'}; expected one "
            "checkpoint, or the path of one, such as folder/model.ckpt-best"
        )
    return find_tf1_checkpoint(path / prefixes[0])


def list_tf1_checkpoint(path: str | Path) -> dict[str, Variable]:
    """Return shape and type of every variable of a checkpoint, by name, without reading values.

    Args:
        path: A checkpoint's prefix, or a folder with one (see `find_tf1_checkpoint`).

    Raises:
        InputError: A file is missing, damaged or of another format, or TensorFlow is not installed.
    """
    reader, names = _open(find_tf1_checkpoint(path))
    shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    return {
        name: Variable(shape=tuple(shapes[raw]), dtype=dtypes[raw].name)
        for name, raw in names.items()
    }


def read_tf1_checkpoint(
    path: str | Path, *, names: Iterable[str] | None = None
) -> dict[str, np.ndarray]:
    """Read variables of a checkpoint by name, the optimizer's slots and global_step included.

    The scope `module/` of TF-Hub modules is removed from the names.

    Args:
        path: A checkpoint's prefix, or a folder with one (see `find_tf1_checkpoint`).
        names: Only these; all when not given.

    Raises:
        InputError: A file is missing, truncated, corrupt or of another format, a name is not in it,
            or TensorFlow is not installed.
    """
    prefix = find_tf1_checkpoint(path)
    reader, known = _open(prefix)
    chosen = known if names is None else names
    with _name_file_in_errors(f"{prefix}.data-*"):
        return {name: reader.get_tensor(known[name]) for name in chosen}


def write_tf1_checkpoint(prefix: str | Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays as a checkpoint that `tf.train.Saver` restores, and name it the latest.

    Files of the same name are replaced, and so is the folder's file `checkpoint`, which then names
    no other. The graph in the `.meta` file holds the variables and what saves and restores them;
    the original's scripts, which build the model's graph themselves, rename and remove that file.

    Args:
        prefix: Path without `.index`; its folder is made if it is missing.
        arrays: Values by variable name; `global_step` is added as 0 if it is not there.
    """
    import tensorflow as tf

    prefix = Path(prefix)
    values = {GLOBAL_STEP: 0, **arrays}
    values[GLOBAL_STEP] = np.asarray(values[GLOBAL_STEP], np.int64)
    # TensorFlow writes in place. With temporary names a killed process leaves no half checkpoint;
    # the index comes last, because it makes the checkpoint visible.
    temporary = prefix.with_name(f".{prefix.name}.{os.getpid()}.tmp")
    prefix.parent.mkdir(parents=True, exist_ok=True)
    try:
        Path(f"{temporary}.meta").write_bytes(_make_meta_graph(values))
        tf.raw_ops.SaveV2(
            prefix=str(temporary),
            tensor_names=list(values),
            shape_and_slices=[""] * len(values),
            tensors=[tf.convert_to_tensor(value) for value in values.values()],
        )
        for end in CHECKPOINT_ENDS:
            os.replace(f"{temporary}{end}", f"{prefix}{end}")
    finally:
        for path in prefix.parent.iterdir():
            if path.name.startswith(temporary.name):
                path.unlink()
    state = f'model_checkpoint_path: "{prefix.name}"\nall_model_checkpoint_paths: "{prefix.name}"\n'
    write_atomically(prefix.with_name(STATE_NAME), state.encode())


def _make_meta_graph(values: Mapping[str, Any]) -> bytes:
    """Return a serialised MetaGraphDef with the variables of a checkpoint, and their Saver.

    The same names, shapes and types give the same bytes.

    Args:
        values: Arrays, or numbers, by the names of the variables; `global_step` is marked as what
            counts the steps.
    """
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        for name, value in values.items():
            array = np.asarray(value)
            keys = tf.compat.v1.GraphKeys
            is_model = not is_training_state(name)
            tf.compat.v1.get_variable(
                name,
                shape=array.shape,
                dtype=array.dtype,
                initializer=tf.compat.v1.zeros_initializer(),
                trainable=is_model,
                collections=[
                    keys.GLOBAL_VARIABLES,
                    *([keys.GLOBAL_STEP] if name == GLOBAL_STEP else []),
                ],
                use_resource=False,  # as TensorFlow 1.15 has them
            )
        saver = tf.compat.v1.train.Saver()
        meta_graph = tf.compat.v1.train.export_meta_graph(
            graph_def=graph.as_graph_def(),
            saver_def=saver.as_saver_def(),
            strip_default_attrs=True,  # which an older TensorFlow may not know
        )
    return meta_graph.SerializeToString(deterministic=True)


def load_tf1_checkpoint(model: "keras.Model", path: str | Path, *, prefix: str = "") -> Restored:
    """Assign a checkpoint to a model's variables of the same names.

    Slots and global_step go into the optimizer of a model compiled with `AdamW` or `LAMB` without
    averages of the weights, which is built for that, if `prefix` is empty and the checkpoint has
    slots; else they are ignored, as by the original's `init_checkpoint`.

    Args:
        model: The model to fill.
        path: A checkpoint's prefix, or a folder with one (see `find_tf1_checkpoint`).
        prefix: Load only variables whose name starts with it, such as `bert/` to begin fine-tuning
            from a pretrained model.

    Raises:
        InputError: A file cannot be read, or TensorFlow is not installed; or a variable is missing,
            unknown or of another shape, and then nothing is assigned and all of them are listed.
    """
    from albert_core.model.weights import assign_by_name, weights_by_name

    arrays = read_tf1_checkpoint(path)
    variables = weights_by_name(model)
    if not prefix and any(name.endswith(SLOTS) for name in arrays):
        variables |= _optimizer_variables(model)
    takes_state = GLOBAL_STEP in variables
    targets = {name: value for name, value in variables.items() if name.startswith(prefix)}
    chosen = {
        name: array
        for name, array in arrays.items()
        if name.startswith(prefix) and (takes_state or not is_training_state(name))
    }
    assign_by_name(targets, chosen, source=str(path))
    return Restored(
        restored=tuple(sorted(chosen)), ignored=tuple(sorted(arrays.keys() - chosen.keys()))
    )


def save_tf1_checkpoint(
    model: "keras.Model", prefix: str | Path, *, include_optimizer: bool = False
) -> None:
    """Write a model as a checkpoint of the original, with `albert_config.json` beside it.

    Files there are replaced, and the folder's file `checkpoint` names this one alone.

    Args:
        model: A model of `albert_core.model`.
        prefix: Path without `.index`; its folder is made if it is missing.
        include_optimizer: Whether slots and global_step are written; else global_step is 0.

    Raises:
        InputError: The optimizer is asked for, and the model has none, another than `AdamW` or
            `LAMB` of this package, or one that averages the weights.
    """
    from albert_core.model.weights import as_arrays, weights_by_name

    variables = weights_by_name(model)
    if include_optimizer:
        slots = _optimizer_variables(model)
        if not slots:
            raise InputError(
                f"checkpoint {prefix}: the model has no optimizer whose state could be written; "
                "compile it with LAMB or AdamW of albert_core.optimizers"
            )
        variables |= slots
    prefix = Path(prefix)
    prefix.parent.mkdir(parents=True, exist_ok=True)
    write_tf1_checkpoint(prefix, as_arrays(variables))
    model.config.to_json_file(prefix.with_name(CONFIG_NAME))


def _optimizer_variables(model: "keras.Model") -> dict[str, Any]:
    """Return slots and global_step by name of a model compiled with `AdamW` or `LAMB`.

    Builds the optimizer, which makes its slots if there are none yet. Empty for all others, for
    `Muon` and for an optimizer that averages the weights.
    """
    from albert_core.optimizers.adamw import AdamW
    from albert_core.optimizers.muon import Muon

    optimizer = getattr(model, "optimizer", None)
    # The original has no slots for Muon's moment, nor for averages of the weights.
    if (
        not isinstance(optimizer, AdamW)
        or isinstance(optimizer, Muon)
        or optimizer.ema_decay is not None
    ):
        return {}
    optimizer.build(model.trainable_variables)
    return {**optimizer.slots_by_name(), GLOBAL_STEP: optimizer.iterations}


def _open(prefix: Path) -> tuple[Any, dict[str, str]]:
    """Return TensorFlow's reader of a checkpoint, and its keys by variable name.

    The key is the name, the name with `module/` in front (TF-Hub), or that of a SavedModel.

    Raises:
        InputError: TensorFlow is not installed; or the index is damaged, of another format, or
            keyed by objects and not of a SavedModel that `albert export` wrote.
    """
    try:
        import tensorflow as tf
    except ModuleNotFoundError as error:
        raise InputError(
            f"checkpoint {prefix}: TensorFlow reads it, which is not installed here; convert it "
            f"where it is: albert convert {prefix} FOLDER --to keras"
        ) from error

    with _name_file_in_errors(f"{prefix}.index"):
        reader = tf.train.load_checkpoint(str(prefix))
        raw = sorted(reader.get_variable_to_shape_map())
    if _OBJECT_GRAPH in raw:
        return reader, _keys_by_variable_name(raw, prefix)
    return reader, {name.removeprefix(_HUB_SCOPE): name for name in raw}


def _keys_by_variable_name(keys: Iterable[str], prefix: Path) -> dict[str, str]:
    """Return the keys of an exported SavedModel by variable name, other keys left out.

    Raises:
        InputError: No key is one of such a SavedModel.
    """
    named = {name: key for key in keys if (name := get_variable_name(key)) is not None}
    if not named:
        raise InputError(
            f"checkpoint {prefix}: keyed by objects, as TensorFlow 2 writes them; expected one "
            "keyed by names, as the original's scripts write them, or a SavedModel that `albert "
            "export` wrote"
        )
    return named


def _read_latest_name(folder: Path) -> str | None:
    """Return the name of the latest checkpoint by a folder's `checkpoint` file; None without one.

    It is the prefix of its files without folders, so that a folder may have been moved.
    """
    state = folder / STATE_NAME
    text = state.read_text(encoding="utf-8", errors="replace") if state.is_file() else ""
    match = re.search(r'^model_checkpoint_path: "(.*)"$', text, re.MULTILINE)
    return Path(match[1]).name if match else None


def _refuse_missing_files(prefix: Path) -> None:
    """Refuse a checkpoint that lacks its index or one of its shards (`.data-*` files).

    How many shards there are is known from the names of those that are there: only TensorFlow
    can read it from the index.

    Raises:
        InputError: A file is missing.
    """
    if not Path(f"{prefix}.index").is_file():
        raise InputError(
            f"checkpoint {prefix}: no file {prefix.name}.index there; expected the prefix of a "
            "TensorFlow 1 checkpoint, such as folder/model.ckpt-best"
        )
    pattern = re.compile(re.escape(prefix.name) + r"\.data-\d{5}-of-(\d{5})")
    names = {path.name for path in prefix.parent.iterdir()}
    num_shards = max((int(m[1]) for name in names if (m := pattern.fullmatch(name))), default=1)
    shards = [f"{prefix.name}.data-{k:05d}-of-{num_shards:05d}" for k in range(num_shards)]
    if missing := [name for name in shards if name not in names]:
        raise InputError(f"checkpoint {prefix}: no file {', '.join(missing)} there; copy it, too")


@contextlib.contextmanager
def _name_file_in_errors(file: str) -> Iterator[None]:
    """Turn errors of TensorFlow raised inside, and a missing key, into one that names the file.

    Raises:
        InputError: There was such an error.
    """
    import tensorflow as tf

    try:
        yield
    except (tf.errors.OpError, LookupError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"checkpoint {file}: truncated, corrupt or of another format ({reason}); copy it anew"
        ) from error
