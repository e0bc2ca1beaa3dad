"""Features kept on disk, in a folder named after everything they depend on."""

import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np

from albert_core.files import write_json
from albert_core.finetuning.features import Features

_ARRAYS = ("ids", "begins", "second_starts")
_COUNTS = ("group_size", "num_left_out")
_FACTS_NAME = "features.json"


def cached_features(entry: Path, make: Callable[[], Features]) -> Features:
    """Return features from a folder; if it does not exist, make them and store them there first.

    Token ids and the bounds of the sequences are memory-mapped for reading, so that large sets take
    no memory; targets are read whole. Several processes may make the same features at once: those
    stored first are kept, and all return those.

    Args:
        entry: The folder, named after everything the features depend on; what is in it is not
            checked.
        make: Makes the features; not called if the folder exists.
    """
    if not entry.is_dir():
        _store(make(), entry)
    facts = json.loads((entry / _FACTS_NAME).read_text(encoding="utf-8"))
    return Features(
        # Mapped: fine-tunings of a task in several processes share the pages.
        **{name: np.load(entry / f"{name}.npy", mmap_mode="r") for name in _ARRAYS},
        targets={name: np.load(entry / f"target-{name}.npy") for name in facts["targets"]},
        **{name: facts[name] for name in _COUNTS},
    )


def _store(features: Features, entry: Path) -> None:
    """Store features in a new folder, made whole under another name and then renamed to `entry`.

    Leaves `entry` as it is if it has come to exist in the meantime. Makes the folders above it.
    """
    partial = entry.with_name(f".{entry.name}.{uuid.uuid4().hex}")
    partial.mkdir(parents=True)
    for name in _ARRAYS:
        np.save(partial / f"{name}.npy", getattr(features, name))
    for name, array in features.targets.items():
        np.save(partial / f"target-{name}.npy", array)
    counts = {name: getattr(features, name) for name in _COUNTS}
    facts = {**counts, "targets": sorted(features.targets)}
    write_json(partial / _FACTS_NAME, facts)
    try:
        os.replace(partial, entry)
    except OSError:  # another process has stored the same features
        shutil.rmtree(partial)
