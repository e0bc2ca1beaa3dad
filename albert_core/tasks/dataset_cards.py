"""The names of classes that the card of a data set of Hugging Face gives, in README.md."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from albert_core.errors import InputError
from albert_core.settings.yaml_text import load_yaml_as_text
from albert_core.storage import exists, join, read_bytes

CARD_NAME = "README.md"

_FRONT_MATTER = re.compile(rb"\A(?:\xef\xbb\xbf)?---\r?\n(.*?)\r?\n---\s*(?:\n|\Z)", re.DOTALL)


def read_class_names(folder: str, column: str) -> tuple[str, ...]:
    """Return the names of the classes that whole numbers in a column stand for, from 0.

    They are in `dataset_info` at the beginning of README.md, for a column of classes or of lists of
    classes. A number between others that has no name there gets an empty one.

    Args:
        folder: Address of the data set's folder, local, gs:// or s3://.
        column: The column's name.

    Returns:
        The names; none where there is no card, it is no YAML, does not say, or says several things
        of several configurations.

    Raises:
        InputError: The card cannot be read.
        ServiceError: The storage failed.
    """
    address = join(folder, CARD_NAME)
    match = _FRONT_MATTER.match(read_bytes(address)) if exists(address) else None
    if match is None:
        return ()
    try:
        card = load_yaml_as_text(match[1], source=address)
    except InputError:
        return ()  # a README of another kind
    infos = card.get("dataset_info") if isinstance(card, Mapping) else None
    named = {
        names
        for info in (infos if isinstance(infos, list) else [infos])
        for feature in _features(info)
        if feature.get("name") == column and (names := _names_in(feature))
    }
    return named.pop() if len(named) == 1 else ()


def _features(info: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the features of one configuration of a card."""
    features = info.get("features") if isinstance(info, Mapping) else None
    if not isinstance(features, Sequence):
        return
    for feature in features:
        if isinstance(feature, Mapping):
            yield feature


def _names_in(feature: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of a feature's classes, in order of their numbers; empty for other features.

    They are below `dtype`, for lists below `sequence` or `list`, as `{'0': ..., '1': ...}` or as a
    list. A number without a name gets an empty one.
    """
    for key in ("dtype", "sequence", "list"):
        inner = feature.get(key)
        if not isinstance(inner, Mapping):
            continue
        classes = inner.get("class_label")
        if classes is None:
            return _names_in(inner)
        names = classes.get("names") if isinstance(classes, Mapping) else None
        if isinstance(names, Mapping):
            by_number = {str(number): str(name) for number, name in names.items()}
            return tuple(by_number.get(str(number), "") for number in range(len(by_number)))
        return tuple(map(str, names)) if isinstance(names, Sequence) else ()
    return ()
