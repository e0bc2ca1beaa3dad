"""Features kept on disk, in a folder named after everything they depend on.

`features.json` in the folder is sealed (`albert_core.files.checksums`) and has the checksums of the
arrays.
"""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from albert_core.errors import InputError
from albert_core.files.checksums import (
    DamageError,
    describe_file,
    find_file_damage,
    read_sealed,
    report_damage,
    write_sealed,
)
from albert_core.files.partial_files import partial_path, remove_whole_folder, staging_folder
from albert_core.finetuning.features import Features

_ARRAYS = ("ids", "begins", "second_starts", "whole_lengths")
_COUNTS = ("group_size", "num_left_out")
_FACTS_NAME = "features.json"


def cached_features(entry: Path, make: Callable[[], Features], *, key: str) -> Features:
    """Return features from a folder; if it does not exist, make them and store them there first.

    Token ids and the bounds of the sequences are memory-mapped for reading, so that large sets take
    no memory; targets are read whole. Several processes may make the same features at once: those
    stored first are kept, and all return those. Features that are damaged, or are those of another
    key, are named on standard error and made again.

    Args:
        entry: The folder, named after everything the features depend on. Its files are read once to
            compare their checksums.
        make: Makes the features; not called if the folder has them. Its errors are raised here.
        key: Hash of everything they depend on.

    Raises:
        OSError: The features cannot be stored: the disk is full or not writable.
    """
    if entry.is_dir():
        try:
            return _load(entry, key)
        except DamageError as error:
            report_damage(entry, error, "made again")
            _discard(entry)
    features = make()
    _store(features, entry, key)
    try:
        return _load(entry, key)
    except DamageError:  # another process has just taken the damaged ones away
        return features


def _discard(entry: Path) -> None:
    """Remove a folder of features so that no process sees half of it; pass if that is refused."""
    with contextlib.suppress(OSError, InputError):
        remove_whole_folder(entry, last=_FACTS_NAME)


def _load(entry: Path, key: str) -> Features:
    """Return stored features.

    Raises:
        DamageError: They are damaged, or those of another key.
    """
    facts = read_sealed(entry / _FACTS_NAME, work=key)
    for name, file in facts["files"].items():
        if damage := find_file_damage(entry / name, file):
            raise DamageError(damage)
    return Features(
        # Mapped: fine-tunings of a task in several processes share the pages.
        **{name: np.load(entry / f"{name}.npy", mmap_mode="r") for name in _ARRAYS},
        targets={name: np.load(entry / f"target-{name}.npy") for name in facts["targets"]},
        **{name: facts[name] for name in _COUNTS},
    )


def _store(features: Features, entry: Path, key: str) -> None:
    """Store features in a new folder, made whole under another name and then renamed to `entry`.

    Makes the folders above it. Waits for another process that stores features there, and leaves
    its `entry` as it is.

    Raises:
        OSError: The disk is full or not writable; nothing is left of the new folder.
    """
    with staging_folder(partial_path(entry), waits=True) as partial:
        # Checked again: another process may have stored it while this one waited for the folder.
        if entry.is_dir():
            return
        for name in _ARRAYS:
            np.save(partial / f"{name}.npy", getattr(features, name))
        for name, array in features.targets.items():
            np.save(partial / f"target-{name}.npy", array)
        counts = {name: getattr(features, name) for name in _COUNTS}
        files = {path.name: describe_file(path) for path in sorted(partial.iterdir())}
        facts = {**counts, "targets": sorted(features.targets), "files": files}
        write_sealed(partial / _FACTS_NAME, facts, work=key)
        os.replace(partial, entry)
