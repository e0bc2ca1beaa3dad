"""A folder of pointers to accepted models: which one counts, and which counted before.

`history/DATE.json` is written once for each date and never changed; `accepted.json` says the same
of the newest. The models stay where they were made.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import PurePosixPath

from albert_core.artifacts.manifest import MANIFEST_NAME, parse_manifest
from albert_core.errors import InputError
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
class TaskScore:
    """A model's score on one task.

    Attributes:
        metric: The task's first metric.
        score: Its value on the dev set.
        data: Hash of the task's files: scores on other data cannot be compared.
    """

    metric: str
    score: float
    data: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class AcceptedModel:
    """A pointer to a pretrained model that was accepted.

    Attributes:
        date: Date of the run that made it, YYYY-MM-DD.
        address: The model's folder, local or gs://.
        content_hash: Hash of the files there, as its manifest says.
        run: Title of the run.
        scores: What it reached after fine-tuning, by task.
    """

    date: str
    address: str
    content_hash: str
    run: str
    scores: Mapping[str, TaskScore]


def accepted_dates(folder: str) -> list[str]:
    """Return the dates of the accepted models, oldest first."""
    history = join(folder, HISTORY_FOLDER)
    if not has_files(history):
        return []
    names = (PurePosixPath(file.path) for file in find_files(history))
    return sorted(name.stem for name in names if name.suffix == ".json" and name.stem[0] != ".")


def read_accepted(folder: str, date: str) -> AcceptedModel:
    """Return the model accepted on a date.

    Raises:
        InputError: There is none, or its file is damaged.
    """
    path = _history_path(folder, date)
    try:
        values = json.loads(read_bytes(path))
    except ValueError as error:
        raise InputError(f"{path}: not a pointer to an accepted model ({error})") from error
    return parse_settings(AcceptedModel, values, source=path)


def accepted_before(folder: str, date: str) -> AcceptedModel | None:
    """Return the last model accepted before a date, so that a date's run is always the same.

    Raises:
        InputError: The model is gone, or another one is in its place.
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
    """Write a date's entry of the history, then let `accepted.json` point to it.

    Doing it again for the same model changes nothing.

    Raises:
        InputError: Another run was faster.
    """
    pointer = join(folder, POINTER_NAME)
    seen = generation(pointer)
    dates = accepted_dates(folder)
    entry = _history_path(folder, model.date)
    if model.date not in dates:
        text = json.dumps(dataclasses.asdict(model), indent=2) + "\n"
        write_bytes(entry, text.encode(), only_new=True)
    if model.date >= max(dates, default=model.date):
        write_bytes(pointer, read_bytes(entry), replaces=seen)


def _history_path(folder: str, date: str) -> str:
    return join(join(folder, HISTORY_FOLDER), f"{date}.json")
