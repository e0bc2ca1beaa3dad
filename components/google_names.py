"""Names as Google Cloud takes them: regions and labels.

A service of Google's would refuse others when a run starts, or hours later when a step does.
"""

import re
from collections.abc import Mapping

from albert_core.errors import InputError

_REGION = re.compile(r"[a-z]+-[a-z]+\d{1,2}")
_ZONE = re.compile(rf"({_REGION.pattern})-[a-z]")
_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
_MOST_LABELS = 64


def check_region(setting: str, value: str) -> None:
    """Refuse what is no region of Google Cloud, such as a zone.

    Raises:
        InputError: It is none; of a zone the message names the region.
    """
    if zone := _ZONE.fullmatch(value):
        raise InputError(f"{setting}: got the zone {value!r}, expected its region, {zone[1]}")
    if not _REGION.fullmatch(value):
        raise InputError(f"{setting}: got {value!r}, expected a region such as us-central1")


def check_google_labels(setting: str, labels: Mapping[str, str]) -> None:
    """Refuse labels that Google Cloud does not take, such as one without a name.

    Raises:
        InputError: There is one, or there are over 64.
    """
    for name, value in labels.items():
        if not _KEY.fullmatch(name):
            raise InputError(
                f"{setting}: got {name!r}, expected names of 1 to 63 lower-case letters, digits, - "
                "and _, a letter first"
            )
        if not _VALUE.fullmatch(value):
            raise InputError(
                f"{setting}: got {value!r}, expected up to 63 lower-case letters, digits, - and _"
            )
    if len(labels) > _MOST_LABELS:
        raise InputError(f"{setting}: got {len(labels)} labels, expected {_MOST_LABELS} at most")
