"""Weights by the original's variable names, and safetensors files of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import safetensors
import safetensors.numpy

from albert_core.errors import InputError
from albert_core.files.atomic import write_atomically


def weights_by_name(model: keras.Model) -> dict[str, Any]:
    """Return a built model's weights, as variables, by their names in the original's checkpoints.

    Variables of the optimizer, of metrics and random states are not among them.
    """
    # Paths begin with the model's own name, which no checkpoint of the original has.
    return {weight.path.partition("/")[2]: weight for weight in model.weights}


def as_arrays(weights: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return named variables or arrays as C-contiguous NumPy arrays by the same names.

    An array that is C-contiguous already is not copied.
    """
    # safetensors writes an array's memory as it lies, whatever its strides.
    return {name: np.asarray(value, order="C") for name, value in weights.items()}


def write_weights(path: Path, weights: Mapping[str, Any]) -> None:
    """Write named variables or arrays to a safetensors file; replace an existing one atomically.

    Raises:
        OSError: The folder does not exist, or the file cannot be written.
    """
    write_atomically(path, safetensors.numpy.save(as_arrays(weights)))


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Read a safetensors file into arrays by name.

    Raises:
        InputError: The file is missing, truncated or of another format.
    """
    try:
        return safetensors.numpy.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"weights {path}: cannot be read as safetensors ({error})") from error


def load_weights(
    model: keras.Model, arrays: Mapping[str, np.ndarray], *, prefix: str = "", source: str
) -> None:
    """Assign arrays to a model's variables of the same names; after an error nothing is assigned.

    Values are converted to the types of the variables.

    Args:
        model: The model to fill.
        arrays: Values by name; names without the prefix are ignored.
        prefix: Start of the names of variables to load, for example `bert/`; others are unchanged.
        source: Where the arrays come from, for messages.

    Raises:
        InputError: A variable is missing, unknown or of another shape; all are listed.
    """
    variables = {n: weight for n, weight in weights_by_name(model).items() if n.startswith(prefix)}
    selected = {name: array for name, array in arrays.items() if name.startswith(prefix)}
    assign_by_name(variables, selected, source=source)


def assign_by_name(
    variables: Mapping[str, Any], arrays: Mapping[str, np.ndarray], *, source: str
) -> None:
    """Assign arrays to variables of the same names; after an error nothing is assigned.

    Values are converted to the types of the variables.

    Args:
        variables: Variables by name.
        arrays: Values by name.
        source: Where the arrays come from, for messages.

    Raises:
        InputError: A variable is missing, unknown or of another shape; all are listed.
    """
    # Everything is checked before anything is assigned: a model half of random weights would
    # train without a word.
    problems = [f"missing {name}" for name in sorted(variables.keys() - arrays.keys())]
    problems += [f"unknown {name}" for name in sorted(arrays.keys() - variables.keys())]
    problems += [
        f"{name} is {arrays[name].shape}, expected {tuple(variables[name].shape)}"
        for name in sorted(variables.keys() & arrays.keys())
        if arrays[name].shape != tuple(variables[name].shape)
    ]
    if problems:
        raise InputError(f"weights {source}: do not fit the model: {'; '.join(problems)}")
    for name, variable in variables.items():
        variable.assign(arrays[name])
