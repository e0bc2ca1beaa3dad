"""A registry of accepted models: a folder of pointers, one for each date.

`history/DATE.json` is written once for each date and never changed; `accepted.json` is a copy of
the newest. The models stay in the folders where their runs wrote them.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import PurePosixPath

from albert_core.artifacts.manifest import MANIFEST_NAME, parse_manifest
from albert_core.errors import InputError
from albert_core.files.checksums import (
    DamageError,
    parse_object,
    with_checksum,
    without_checksum,
)
from albert_core.settings import parse_settings
from albert_core.storage import (
    exists,
    find_files,
    generation,
    has_files,
    join,
    read_bytes,
    write_bytes,
)

POINTER_NAME = "accepted.json"
HISTORY_FOLDER = "history"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComparableScore:
    """A model's score on one task.

    Attributes:
        metric: The task's first metric.
        score: Its value on the dev set.
        data: Hash of the task's files; scores on different data cannot be compared.
    """

    metric: str
    score: float
    data: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class AcceptedModel:
    """A pointer to a pretrained model that was accepted.

    Attributes:
        date: Date of the run that made it, YYYY-MM-DD.
        address: The model's folder, local, gs:// or s3://.
        content_hash: Hash of the files there, as its manifest says.
        run: Title of the run.
        scores: Its scores after fine-tuning, by task.
    """

    date: str
    address: str
    content_hash: str
    run: str
    scores: Mapping[str, ComparableScore]


def accepted_dates(folder: str) -> list[str]:
    """Return the dates of the accepted models, oldest first; empty if there is no such folder.

    They are the names of the files in its history; what these hold is not looked at.

    Args:
        folder: Folder of the registry, local, gs:// or s3://.

    Raises:
        ServiceError: The storage failed.
        InputError: The folder must not be read from here.
    """
    history = join(folder, HISTORY_FOLDER)
    if not has_files(history):
        return []
    names = (PurePosixPath(file.path) for file in find_files(history))
    # A name that begins with a dot is a local file that is still being written.
    return sorted(name.stem for name in names if name.suffix == ".json" and name.stem[0] != ".")


def read_accepted(folder: str, date: str) -> AcceptedModel:
    """Return the model accepted on a date, as its pointer has it; the model is not looked at.

    Raises:
        InputError: No model was accepted on that date, or its pointer is damaged.
        ServiceError: The storage failed.
    """
    path = _history_path(folder, date)
    try:
        values = parse_object(read_bytes(path))
        # Pointers of earlier versions have no checksum.
        values = without_checksum(values) if "checksum" in values else values
    except DamageError as error:
        raise InputError(
            f"{path}: damaged ({error}); restore it from a backup, or remove it, which takes "
            "back that the model of this date was accepted"
        ) from error
    return parse_settings(AcceptedModel, values, source=path)


def accepted_before(folder: str, date: str) -> AcceptedModel | None:
    """Return the last model accepted before a date, or None; checks that it is still there.

    Models of the date itself and of later ones do not count, so a date's run starts from the same
    model whenever it is made. Re-running a date reuses its results. Only the manifest of the
    model's files is read.

    Args:
        folder: Folder of the registry, local, gs:// or s3://.
        date: YYYY-MM-DD.

    Raises:
        InputError: The model's folder is gone or holds another model, the pointer or the manifest
            is damaged, or the folder of the registry must not be read from here.
        ServiceError: The storage failed.
    """
    earlier = [other for other in accepted_dates(folder) if other < date]
    if not earlier:
        return None
    model = read_accepted(folder, earlier[-1])
    manifest_path = join(model.address, MANIFEST_NAME)
    is_there = exists(manifest_path)
    if is_there and parse_manifest(read_bytes(manifest_path), manifest_path).content_hash == (
        model.content_hash
    ):
        return model
    raise InputError(
        f"{_history_path(folder, model.date)}: the accepted model at {model.address} is "
        f"{'another one now' if is_there else 'gone'}; put it back, or choose another "
        "retraining.accepted to begin anew"
    )


def accept(folder: str, model: AcceptedModel) -> None:
    """Write a date's entry of the history, then `accepted.json` if the date is the newest.

    The entry of a date is never replaced: where there is one, `model` is not written, and only
    `accepted.json` is made a copy of that entry, if its date is the newest. The model's own folder
    is not looked at.

    Args:
        folder: Folder of the registry, local, gs:// or s3://; made if missing.
        model: The model to accept for its date.

    Raises:
        InputError: Another run has written one of the two files meanwhile, or they cannot be
            written.
        ServiceError: The storage failed.
    """
    pointer = join(folder, POINTER_NAME)
    # Before the history is read: a pointer that another run writes after this line is newer than
    # the dates below, and must not be replaced by this older one.
    seen = generation(pointer)
    dates = accepted_dates(folder)
    entry = _history_path(folder, model.date)
    if model.date not in dates:
        text = json.dumps(with_checksum(dataclasses.asdict(model)), indent=2) + "\n"
        write_bytes(entry, text.encode(), only_new=True)
    if model.date >= max(dates, default=model.date):
        # From the entry, not from `model`: after a kill between the two writes, the entry counts.
        write_bytes(pointer, read_bytes(entry), replaces=seen)


def _history_path(folder: str, date: str) -> str:
    """Return the address of a date's entry in the history."""
    return join(join(folder, HISTORY_FOLDER), f"{date}.json")
