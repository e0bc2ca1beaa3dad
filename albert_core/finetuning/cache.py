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

    Token ids are memory-mapped, so that large sets take no memory. Several processes may make the
    same features: one of them is kept.

    Args:
        entry: The folder, named after everything the features depend on.
        make: Makes the features.
    """
    if not entry.is_dir():
        _store(make(), entry)
    facts = json.loads((entry / _FACTS_NAME).read_text(encoding="utf-8"))
    return Features(
        **{name: np.load(entry / f"{name}.npy", mmap_mode="r") for name in _ARRAYS},
        targets={name: np.load(entry / f"target-{name}.npy") for name in facts["targets"]},
        **{name: facts[name] for name in _COUNTS},
    )


def _store(features: Features, entry: Path) -> None:
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
