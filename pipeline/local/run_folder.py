"""The folder of a local run: it belongs to one configuration, and one run at a time works there."""

import contextlib
import dataclasses
import hashlib
import operator
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from albert_core.errors import InputError
from albert_core.files.atomic import write_atomically
from albert_core.files.checksums import report_damage
from albert_core.files.folders import FOLDERS_OF_VOLUMES
from albert_core.files.locks import LOCK_NAME, hold_lock, tell_if_without_lock
from albert_core.files.partial_files import partial_path
from albert_core.places.outputs import RUN_CONFIG_NAME
from albert_core.settings import parse_settings
from albert_core.settings.old_names import rename_settings
from albert_core.settings.yaml_text import load_yaml
from albert_core.storage import join
from albert_core.tracking.config import TrackingConfig
from components.runtime import EVENTS_NAME
from pipeline.config import RunConfig, to_values

_RUN_FILES = (LOCK_NAME, EVENTS_NAME)
_CHECKSUM_LINE = b"# sha256 of the lines below: "
# Whoever looks whether a run is at work, such as `albert info`, has its lock for a moment.
_LOCK_TIMEOUT_S = 0.2

# Settings that may change between runs of one folder: they add or leave out tasks, say who pays or
# who looks on.
_FREE_SETTINGS = (
    "tasks",
    "random_weights_baseline",
    "storage.user_project",
    "storage.endpoint",
    *(f"tracking.{field.name}" for field in dataclasses.fields(TrackingConfig)),
)
# Sections on which the time of pretraining depends.
_OF_PRETRAINING = ("vocab", "records", "model", "pretraining")

# Settings that had another default in earlier versions, with today's, which leaves them open.
_OPEN_SETTINGS = {"corpus.format": None, "vocab.memory_gb": "auto"}


@contextlib.contextmanager
def lock_run_folder(
    folder: Path, config: RunConfig, run_id: str, *, reconfigure: bool
) -> Iterator[None]:
    """Make a run's folder where there is none, and hold its lock while the body runs.

    The run's configuration replaces the one in the folder. The lock's file holds the run's id, by
    which the steps see that their run, and no later one, is still at work. On a file system without
    locks the body runs without one, which is reported on standard error.

    Args:
        folder: The folder.
        config: The run.
        run_id: Unique to this run.
        reconfigure: Whether the folder may take over changed settings.

    Raises:
        InputError: The folder is that of another configuration or of no run, or another run holds
            the lock. The folder then stays as it was.
    """
    _refuse_other_configuration(folder, config, reconfigure=reconfigure)
    with hold_lock(
        folder / LOCK_NAME,
        timeout_s=_LOCK_TIMEOUT_S,
        refusal=f"output {folder}: another run is at work there",
        makes_folder=True,
    ) as lock:
        tell_if_without_lock(lock, folder)
        os.ftruncate(lock.descriptor, 0)
        os.write(lock.descriptor, run_id.encode())
        write_atomically(folder / RUN_CONFIG_NAME, format_configuration(config))
        yield


def has_begun(folder: Path, config: RunConfig) -> bool:
    """Return whether a run has begun in a folder with this configuration's pretraining.

    That is `has_same_pretraining` of the configuration in the folder: the corpus, its cleaning,
    tasks and what follows pretraining may differ. False for a folder without a configuration, or
    with one that cannot be read.

    Args:
        folder: The folder; may be missing.
        config: The configuration.
    """
    path = folder / RUN_CONFIG_NAME
    if not path.is_file():
        return False
    return has_same_pretraining(path.read_bytes(), str(path), config)


def has_same_pretraining(data: bytes, path: str, config: RunConfig) -> bool:
    """Return whether a saved configuration has the same settings of pretraining as another one.

    These are the sections that its time depends on: `vocab`, `records`, `model` and `pretraining`.
    All other sections may differ, the corpus too. A setting of `_OPEN_SETTINGS` that `config` has
    at today's default equals any value. False where the saved one cannot be read.

    Args:
        data: Content of the saved configuration; its checksum is not compared.
        path: Its path, for messages about old names of settings.
        config: The other configuration.
    """
    changed = differing_settings(to_values(config), _read_saved_values(data, path))
    changed = [name for name in changed if name not in _open_settings(config)]
    return not any(name.split(".")[0] in _OF_PRETRAINING for name in changed)


def _open_settings(config: RunConfig) -> list[str]:
    """Return the names of those of `_OPEN_SETTINGS` that a run has at today's default.

    They are left open so: earlier versions wrote other defaults into the folder.
    """
    return [
        name
        for name, default in _OPEN_SETTINGS.items()
        if operator.attrgetter(name)(config) == default
    ]


def format_configuration(config: RunConfig) -> bytes:
    """Return a run's configuration as YAML, below a comment line with the SHA-256 of that YAML."""
    text = yaml.safe_dump(to_values(config), sort_keys=False, allow_unicode=True).encode()
    # First, so that it is there still if the file was cut off.
    return _CHECKSUM_LINE + hashlib.sha256(text).hexdigest().encode() + b"\n" + text


def _is_damaged(data: bytes) -> bool:
    """Return whether a configuration is not what was written; False for those of earlier versions.

    They have no checksum.
    """
    line, _, text = data.partition(b"\n")
    checksum = hashlib.sha256(text).hexdigest().encode()
    return line.startswith(_CHECKSUM_LINE) and line != _CHECKSUM_LINE + checksum


def _refuse_other_configuration(folder: Path, config: RunConfig, *, reconfigure: bool) -> None:
    """Refuse a folder that is not for this run.

    A folder that does not exist, or was only begun, is accepted, and so are the changes that
    `refuse_changes` lets pass. If the configuration is damaged, that is reported on standard error,
    and nothing is compared: every step compares its own settings with those of its results anyway.
    A run's folder has the lock's file or that of the events beside its configuration: a folder in
    which people keep a configuration has neither.

    Raises:
        InputError: The folder is no run's, or it has another configuration and `reconfigure` is
            False.
    """
    path = folder / RUN_CONFIG_NAME
    if not path.is_file() or not any((folder / name).exists() for name in _RUN_FILES):
        if folder.exists() and (not folder.is_dir() or _holds_more_than_a_lock(folder)):
            raise InputError(
                f"output {folder}: exists and is not a run's folder; choose a new or empty one"
            )
        return
    refuse_changes(str(folder), path.read_bytes(), config, reconfigure=reconfigure)


def refuse_changes(folder: str, data: bytes, config: RunConfig, *, reconfigure: bool) -> None:
    """Refuse a run in the folder of a run with other settings, except for those that may change.

    Those that may change are tasks, the baseline of random weights, who pays for buckets and their
    endpoint, and trackers (`_FREE_SETTINGS`); and the format of the corpus and the memory for the
    vocabulary, where this run leaves them to be found out (`_OPEN_SETTINGS`).

    Args:
        folder: The folder, local or in a bucket.
        data: Content of its configuration; a damaged one is reported on standard error, and nothing
            is compared.
        config: The run.
        reconfigure: Whether all settings may change.

    Raises:
        InputError: Others differ, and `reconfigure` is False.
    """
    path = join(folder, RUN_CONFIG_NAME)
    if _is_damaged(data):
        report_damage(path, "its checksum differs", "written again")
        return
    changed = differing_settings(to_values(config), _read_saved_values(data, path))
    changed = [name for name in changed if name not in (*_FREE_SETTINGS, *_open_settings(config))]
    if changed and not reconfigure:
        raise InputError(
            f"output {folder}: belongs to another configuration, different in "
            f"{', '.join(changed)}; choose another --output, or pass --reconfigure to run again "
            "there what the change touches"
        )


def _read_saved_values(data: bytes, path: str) -> Mapping[str, Any]:
    """Return the settings in the bytes of a configuration of this or an earlier version.

    Settings have today's names, and those that there were not yet their defaults. Settings that
    this version cannot read are returned with their values as they are, so that they differ. A file
    that is not YAML, or holds no mapping, gives nothing.
    """
    try:
        values = rename_settings(load_yaml(data, source=path))
    except InputError:
        return {}
    try:
        return to_values(parse_settings(RunConfig, values, source=path))
    except InputError:
        return values if isinstance(values, Mapping) else {}


def _holds_more_than_a_lock(folder: Path) -> bool:
    """Return whether a folder holds anything but what a run killed as it began leaves there.

    That is a lock, and a configuration that was still being written. Folders that a file system has
    at the top of a volume (`FOLDERS_OF_VOLUMES`) do not count either. The folder must exist.
    """
    ignored_names = {LOCK_NAME, partial_path(folder / RUN_CONFIG_NAME).name, *FOLDERS_OF_VOLUMES}
    return any(entry.name not in ignored_names for entry in folder.iterdir())


def differing_settings(
    settings: Mapping[str, Any], others: Mapping[str, Any], prefix: str = ""
) -> list[str]:
    """Return the dotted names of the settings that differ between two nested mappings, sorted.

    A setting that is missing equals one that is None.

    Args:
        settings: The ones.
        others: The others.
        prefix: Dotted name of the section they are in, with a dot at the end; empty at the top.
    """
    names = []
    for name in sorted(settings.keys() | others.keys()):
        value, other = settings.get(name), others.get(name)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            names += differing_settings(value, other, f"{prefix}{name}.")
        elif value != other:
            names.append(f"{prefix}{name}")
    return names
