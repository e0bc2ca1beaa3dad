"""Names as Google Cloud takes them: regions, projects, service accounts, labels.

Its services would refuse others when a run starts, or hours later when a step does.
"""

import re
from collections.abc import Mapping

from albert_core.errors import InputError

_REGION = re.compile(r"[a-z]+-[a-z]+\d{1,2}")
_ZONE = re.compile(rf"({_REGION.pattern})-[a-z]")
# Ids, also those of an organisation with a domain, or numbers.
_PROJECT = r"[a-z0-9]([a-z0-9.:-]*[a-z0-9])?"
_ACCOUNT = re.compile(r"[^@\s/]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
# The full names of what belongs to a project, and an example of each.
_FULL_NAMES: Mapping[str, tuple[re.Pattern[str], str]] = {
    "network": (
        re.compile(rf"projects/{_PROJECT}/global/networks/[a-z0-9-]+"),
        "projects/12345/global/networks/NAME",
    ),
    "encryption_key": (
        re.compile(
            rf"projects/{_PROJECT}/locations/[a-z0-9-]+/keyRings/[\w-]+/cryptoKeys/[\w-]+", re.ASCII
        ),
        "projects/PROJECT/locations/us-central1/keyRings/RING/cryptoKeys/KEY",
    ),
}
_GOOGLE_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_GOOGLE_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
_MOST_LABELS = 64


def check_region(setting: str, value: str) -> None:
    """Refuse what has not the form of a region of Google Cloud, such as a zone or an empty text.

    That there is such a region is not checked.

    Args:
        setting: Full name of the setting, for messages.
        value: Its value.

    Raises:
        InputError: The text is not a region; for a zone the message names its region.
    """
    if zone := _ZONE.fullmatch(value):
        raise InputError(f"{setting}: got the zone {value!r}, expected its region, {zone[1]}")
    if not _REGION.fullmatch(value):
        raise InputError(f"{setting}: got {value!r}, expected a region such as us-central1")


def check_google_project(setting: str, value: str) -> None:
    """Refuse what has not the form of a Google Cloud project's id or number, such as its title.

    That there is such a project is not checked.

    Args:
        setting: Full name of the setting, for messages.
        value: Its value.

    Raises:
        InputError: The value has not the form of an id, which may have a domain, or a number.
    """
    if not re.fullmatch(_PROJECT, value):
        raise InputError(
            f"{setting}: got {value!r}, expected the id of a project, of lower-case letters, "
            "digits and -; `gcloud projects list` tells it"
        )


def check_identity(section: str, service_account: str, network: str, encryption_key: str) -> None:
    """Refuse an account, a network or a key that is not in its form; what is empty passes.

    Whether they exist is not checked.

    Args:
        section: Name of the section of settings that has them, for messages.
        service_account: An e-mail address.
        network: Full name of a VPC network.
        encryption_key: Full name of a Cloud KMS key.

    Raises:
        InputError: One is not in its form; the message names the first.
    """
    if service_account:
        check_google_account(f"{section}.service_account", service_account)
    if network:
        check_full_name(f"{section}.network", network)
    if encryption_key:
        check_full_name(f"{section}.encryption_key", encryption_key)


def check_google_labels(setting: str, labels: Mapping[str, str]) -> None:
    """Refuse labels that Google Cloud does not take, such as one without a name.

    Values may be empty.

    Args:
        setting: Full name of the setting, for messages.
        labels: Values by name.

    Raises:
        InputError: There is one, or there are over 64.
    """
    for name, value in labels.items():
        if not _GOOGLE_KEY.fullmatch(name):
            raise InputError(
                f"{setting}: got {name!r}, expected names of 1 to 63 lower-case letters, digits, - "
                "and _, a letter first"
            )
        if not _GOOGLE_VALUE.fullmatch(value):
            raise InputError(
                f"{setting}: got {value!r}, expected up to 63 lower-case letters, digits, - and _"
            )
    if len(labels) > _MOST_LABELS:
        raise InputError(f"{setting}: got {len(labels)} labels, expected {_MOST_LABELS} at most")


def check_google_account(setting: str, value: str) -> None:
    """Refuse what has not the form of a service account's e-mail address; any domain passes.

    Raises:
        InputError: The value has not the form NAME@DOMAIN.
    """
    if not _ACCOUNT.fullmatch(value):
        raise InputError(
            f"{setting}: got {value!r}, expected an address such as "
            "NAME@PROJECT.iam.gserviceaccount.com"
        )


def check_full_name(setting: str, value: str) -> None:
    """Refuse what has not the form of the full name of a network or of a key.

    Args:
        setting: Full name of the setting, for messages. Its last part says what is expected:
            `network` or `encryption_key`; any other gives a KeyError.
        value: Its value; an empty one is refused, too.

    Raises:
        InputError: The value has not the full form, such as projects/P/global/networks/N.
    """
    pattern, example = _FULL_NAMES[setting.rpartition(".")[2]]
    if not pattern.fullmatch(value):
        raise InputError(f"{setting}: got {value!r}, expected its full name, such as {example}")
