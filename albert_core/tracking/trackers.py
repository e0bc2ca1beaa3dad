"""The table of trackers: what each is called, what it needs, which addresses it takes."""

import dataclasses
import importlib
import importlib.util
import os
import re
import sys
import types
import urllib.parse
from collections.abc import Mapping
from typing import Literal

from albert_core.errors import InputError
from albert_core.tracking.run import TrackedRun, Tracker

TrackerName = Literal["none", "tensorboard", "mlflow", "wandb", "vertex"]

VERTEX_ADDRESS = re.compile(
    r"(?P<endpoint>https?://[^/]+/)?projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrackerKind:
    """A kind of tracker.

    Attributes:
        title: Its name for people.
        module: Module of this package with its class `StepRun`, made from a `TrackedRun`.
        package: Package of its client.
        extra: Extra of this package that brings the client.
        schemes: Schemes of its addresses beside folders of this machine.
        takes_folders: Whether a folder of this machine is an address.
        example: An address, for messages.
        address_variable: Environment variable with the address where the settings have none; empty
            if there is none.
        has_default: Whether the client knows an address of its own.
        experiment: What names of experiments look like.
        variables: Environment variables that its client reads, where they are not set.
    """

    title: str
    module: str
    package: str
    extra: str
    schemes: tuple[str, ...] = ()
    takes_folders: bool = True
    example: str = "a folder"
    address_variable: str = ""
    has_default: bool = False
    experiment: str = r"[^\n]+"
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict)


TRACKERS: Mapping[str, TrackerKind] = {
    "tensorboard": TrackerKind(
        title="TensorBoard",
        module="tensorboard_files",
        package="tensorboard",
        extra="train",
        experiment=r"[\w. -]+",
    ),
    "mlflow": TrackerKind(
        title="MLflow",
        module="mlflow_runs",
        package="mlflow",
        extra="mlflow",
        schemes=("http", "https", "sqlite", "databricks"),
        example="http://localhost:5000, or a folder",
        address_variable="MLFLOW_TRACKING_URI",
        variables={
            # Calls are repeated here, not by the client.
            "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
            # Otherwise it takes no folder, but asks for a database.
            "MLFLOW_ALLOW_FILE_STORE": "true",
        },
    ),
    "wandb": TrackerKind(
        title="Weights & Biases",
        module="wandb_runs",
        package="wandb",
        extra="wandb",
        schemes=("http", "https"),
        example="https://wandb.example.com, or a folder for runs that are uploaded later",
        address_variable="WANDB_BASE_URL",
        has_default=True,
        experiment=r"([^/\\#?%:\n]+/)?[^/\\#?%:\n]+",
    ),
    "vertex": TrackerKind(
        title="Vertex Experiments",
        module="vertex_experiments",
        package="google.cloud.aiplatform",
        extra="vertex",
        takes_folders=False,
        example="projects/PROJECT/locations/us-central1",
        experiment=r"[a-z0-9][a-z0-9-]{0,59}",
    ),
}
"""The trackers by the names that the setting `tracking.to` takes."""


def is_folder(address: str) -> bool:
    """Return whether an address of a tracker is a folder on this machine."""
    return bool(address) and "://" not in address and address != "databricks"


def check_address(name: str, address: str, *, setting: str = "tracking.address") -> None:
    """Refuse an address that a tracker does not take, or with a user's name or password.

    Args:
        name: The tracker.
        address: The address; empty is fine.
        setting: Setting or environment variable that holds it, for the message.

    Raises:
        InputError: The address is refused; no message has a password.
    """
    kind = TRACKERS[name]
    if not address:
        return
    if name == "vertex":
        is_right = VERTEX_ADDRESS.fullmatch(address) is not None
    elif is_folder(address):
        is_right = kind.takes_folders
    else:
        is_right = address.partition(":")[0] in kind.schemes
    try:
        has_user = "@" in urllib.parse.urlsplit(address).netloc
    except ValueError as error:  # such as half an address of IPv6
        shown = address.rpartition("@")[2]
        raise InputError(f"{setting}: got {shown!r}, expected {kind.example}") from error
    if has_user:
        raise InputError(
            f"{setting}: got a user's name or password in it, expected none: whoever sees the "
            "configuration, or a log, can read it; give them in variables of their own "
            "(MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, MLFLOW_TRACKING_TOKEN, "
            "WANDB_API_KEY)"
        )
    if not is_right:
        raise InputError(f"{setting}: got {address} for {kind.title}, expected {kind.example}")


def check_experiment(name: str, experiment: str) -> None:
    """Refuse a name of an experiment that a tracker does not take.

    Raises:
        InputError: The name does not have the tracker's form; for trackers without such a form, it
            is empty or has several lines.
    """
    kind = TRACKERS[name]
    if not re.fullmatch(kind.experiment, experiment):
        raise InputError(
            f"tracking.experiment: got {experiment!r}, expected a name that {kind.title} takes "
            f"({kind.experiment})"
        )


def refuse_missing_package(name: str) -> None:
    """Refuse a tracker whose client is not installed; import no client.

    Raises:
        InputError: The client is not installed; the message names what to install.
    """
    kind = TRACKERS[name]
    if not _is_installed(kind.package):
        raise InputError(
            f"tracking.to: got {name}, which needs the package {kind.package}, which is not "
            f"installed; it comes with pip install 'albert-pipeline[{kind.extra}]', from a "
            f"checkout pip install -e '.[{kind.extra}]'"
        )


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # of a package above it
        return False


def new_tracker(name: str, run: TrackedRun) -> Tracker:
    """Return a tracker's run, whose client is imported here; nothing is called yet.

    For a process of its own: changes its environment, and how TensorBoard imports.

    Raises:
        ModuleNotFoundError: The client is not installed.
    """
    kind = TRACKERS[name]
    for variable, value in kind.variables.items():
        os.environ.setdefault(variable, value)
    # With this module TensorBoard writes files itself; without, it imports TensorFlow for that.
    sys.modules.setdefault("tensorboard.compat.notf", types.ModuleType("notf"))
    return importlib.import_module(f"albert_core.tracking.{kind.module}").StepRun(run)
