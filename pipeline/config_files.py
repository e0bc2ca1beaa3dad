"""Reads a run's configuration, and single sections of one, from YAML files."""

import os
from pathlib import Path
from typing import Any

from albert_core.errors import InputError
from albert_core.files.atomic import read_regular_file
from albert_core.presets import PRESETS
from albert_core.settings import parse_settings, settle_nulls, texts_as_written
from albert_core.settings.json_values import describe_value
from albert_core.settings.old_names import rename_settings
from albert_core.settings.yaml_text import load_yaml, load_yaml_as_text
from albert_core.storage import is_remote, read_bytes
from pipeline.config import RunConfig

_CONFIG = "--config"


def read_config(path: str | Path) -> RunConfig:
    """Read and check a configuration file, or return the defaults with the model preset of a name.

    Old names of settings are taken, and reported on standard error.

    Args:
        path: The file, local, gs:// or s3://; or the name of a model preset, which wins over a file
            of that name.

    Raises:
        InputError: The file is missing or not YAML, a name, a type or a value is wrong, or settings
            do not go together.
        ServiceError: The storage failed.
    """
    return parse_settings(RunConfig, read_run_values(path), source=f"--config {path}")


def read_run_values(path: str | Path) -> dict[str, Any]:
    """Return the settings in a configuration file, unchecked, with `checkpoint` as a section.

    They are under the names they have in the file, old ones too. For the name of a model preset,
    which wins over a file of that name, they are the one setting `model.preset`. A file may give
    the path of the checkpoint in place of the section. Where a setting is a text, it is what is
    written in the file, even if YAML reads it as a number or a truth value.

    Raises:
        InputError: The file is missing, cannot be read, is not YAML, has a key twice, or is not a
            mapping (also when it is empty).
        ServiceError: A bucket does not answer.
    """
    if path in PRESETS:
        return {"model": {"preset": path}}
    values = read_as_written(path, RunConfig, option=_CONFIG)
    checkpoint = values.get("checkpoint")
    return {**values, "checkpoint": {"path": checkpoint}} if isinstance(checkpoint, str) else values


def read_as_written(path: str | Path, cls: type, *, option: str) -> dict[str, Any]:
    """Return the settings in a YAML file with texts as they are written and all else unchecked.

    Args:
        path: The file, local, gs:// or s3://.
        cls: The dataclass whose fields say where texts are meant.
        option: The option that names the file, for messages.

    Raises:
        InputError: The file is missing, a folder or cannot be read, is not YAML, has a key twice,
            or is not a mapping (also when it is empty).
        ServiceError: A bucket does not answer.
    """
    return _load_as_written(_read_yaml_bytes(path, option), cls, source=f"{option} {path}")


def read_section(path: str | Path, cls: type, *, option: str) -> dict[str, Any]:
    """Return the settings in the YAML file of a section, with names, nulls and texts settled.

    Old names become today's, which is reported on standard error, sections that are null are left
    out, and texts are as they are written. Types and values are not checked.

    Args:
        path: The file, local, gs:// or s3://.
        cls: The dataclass of the section.
        option: The option that names the file, for messages.

    Raises:
        InputError: The file is missing, cannot be read, is not YAML, has a key twice or is not a
            mapping; or a null is in place of a value, or text in place of a section.
        ServiceError: A bucket does not answer.
    """
    return parse_section(_read_yaml_bytes(path, option), cls, source=f"{option} {path}")


def parse_section(data: str | bytes, cls: type, *, source: str) -> dict[str, Any]:
    """Return the settings of a section in YAML, as `read_section` returns those of a file.

    Args:
        data: The YAML.
        cls: The dataclass of the section.
        source: Where it comes from, for messages.

    Raises:
        InputError: It is not YAML, has a key twice or is not a mapping; or a null is in place of a
            value, or text in place of a section.
    """
    values = _load_as_written(data, cls, source=source)
    return settle_nulls(cls, rename_settings(values, source=source), source=source)


def _load_as_written(data: str | bytes, cls: type, *, source: str) -> dict[str, Any]:
    """Return settings in YAML, with texts as they are written and all else unchecked.

    Args:
        data: The YAML.
        cls: The dataclass whose fields say where texts are meant.
        source: Where it comes from, for messages.

    Raises:
        InputError: It is not YAML, has a key twice, or is not a mapping.
    """
    values = _as_settings(load_yaml(data, source=source), source)
    return texts_as_written(cls, values, load_yaml_as_text(data, source=source))


def _read_yaml_bytes(path: str | Path, option: str) -> bytes:
    """Return the bytes of a YAML file, local, gs:// or s3://.

    Args:
        path: The file.
        option: The option that names it, for messages. With `--config` the one about a missing file
            lists the model presets, too; `path` is no name of one.

    Raises:
        InputError: The file is missing, a folder, a pipe or a device, or must not be read.
        ServiceError: A bucket does not answer.
    """
    if is_remote(path):
        return read_bytes(str(path))
    if option == _CONFIG and not os.path.lexists(path):
        raise InputError(
            f"{option} {path}: no such file, nor a model preset ({', '.join(PRESETS)})"
        )
    try:
        return read_regular_file(path)
    except InputError as error:
        raise InputError(f"{option} {error}") from error


def _as_settings(values: Any, source: str) -> dict[str, Any]:
    """Return values that were read from YAML as they are if they are a mapping; refuse all others.

    Raises:
        InputError: They are no mapping, such as None of an empty file; names `source`.
    """
    if isinstance(values, dict):
        return values
    got = "nothing" if values is None else describe_value(values)
    raise InputError(f"{source}: got {got}, expected settings by name")
