"""The settings of Dataflow, and what of them cannot work."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from albert_core.errors import InputError
from albert_core.settings.checks import check_at_least
from albert_core.storage import GOOGLE_STORAGE, find_storage
from components.google_names import (
    check_full_name,
    check_google_account,
    check_google_labels,
    check_region,
)
from components.records.beam_options import (
    NAME_OPTIONS,
    has_option,
    join_options,
    refuse_options,
)

if TYPE_CHECKING:
    from components.records.runners import BeamConfig

DATAFLOW_RUNNERS = ("dataflow", "dataflowrunner")
"""The values of `beam.runner` for Dataflow, in lower case."""

_PROJECT = re.compile(r"[a-z][-a-z0-9:.]+[a-z0-9]")
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SUBNETWORK = re.compile(
    r"(https://www\.googleapis\.com/compute/v1/projects/[^/\s]+/)?"
    r"regions/(?P<region>[^/\s]+)/subnetworks/[^/\s]+"
)
_PLACES: Mapping[str, re.Pattern[str]] = {
    "subnetwork": _SUBNETWORK,
    "encryption_key": re.compile(r"projects/[^/]+/locations/(?P<region>[^/]+)/.*"),
}
_FORMS: Mapping[str, tuple[re.Pattern[str], str]] = {
    "project": (_PROJECT, "the id of a project (not its number), such as mine-1"),
    "network": (_NAME, "the name of a network of the project"),
    "subnetwork": (
        _SUBNETWORK,
        "regions/REGION/subnetworks/NAME, or with a network of another project "
        "https://www.googleapis.com/compute/v1/projects/HOST/regions/REGION/subnetworks/NAME",
    ),
    "machine_type": (_NAME, "a machine type such as n2-standard-4"),
    "disk_type": (_NAME, "a type of disk such as pd-ssd"),
}
_REFUSED_OPTIONS: Mapping[str, str] = {
    **NAME_OPTIONS,
    "--template_location": (
        "a template ends with the submission, and nobody would check and publish the records"
    ),
    "--streaming": "the records are a batch",
    "--impersonate_service_account": (
        "the job would be submitted as that account, but neither watched nor cancelled; log in as "
        "that account, with gcloud auth application-default login --impersonate-service-account"
    ),
}
_OLD_RUNNER = re.compile(r"--experiments?=(\S*,)?disable_runner_v2")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataflowConfig:
    """Where and on which machines Dataflow works; empty settings are left to Dataflow.

    A setting that is not in its form, contradicts another or lacks one raises InputError.

    Attributes:
        project: Id of the Google Cloud project.
        region: Its region, such as us-central1.
        temp_location: gs:// folder for what Beam and Dataflow keep meanwhile; the folder
            `dataflow` in `beam.shared_folder` when empty.
        image: The image of the workers, which holds this package and all others, so that none is
            installed when they start; on a platform the data image when empty.
        service_account: What the workers run as.
        machine_type: Their machines, such as n2-standard-4.
        num_workers: How many there are at the start; 0 for Dataflow's choice.
        max_workers: How many there are at most; 0 for Dataflow's choice.
        autoscaling: Whether Dataflow changes their number.
        disk_size_gb: Disk of each; 0 for Dataflow's choice.
        disk_type: Type of that disk, such as pd-ssd.
        network: Name of their network.
        subnetwork: Their subnetwork, as regions/REGION/subnetworks/NAME.
        public_addresses: Whether they have public addresses; without, the subnetwork needs Private
            Google Access.
        encryption_key: Cloud KMS key for what Dataflow keeps, by its full name.
        labels: Labels of the job and its machines, for bills and searches.
        endpoint: Address of the service, such as that of a private endpoint; the public one when
            empty.
    """

    project: str = ""
    region: str = ""
    temp_location: str = ""
    image: str = ""
    service_account: str = ""
    machine_type: str = ""
    num_workers: int = 0
    max_workers: int = 0
    autoscaling: bool = True
    disk_size_gb: int = 0
    disk_type: str = ""
    network: str = ""
    subnetwork: str = ""
    public_addresses: bool = True
    encryption_key: str = ""
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    endpoint: str = ""

    def __post_init__(self) -> None:
        """Refuse what Dataflow would refuse, or what would leave workers without a way to it.

        Raises:
            InputError: A setting is not in its form, two contradict each other, or one lacks
                another.
        """
        sizes = {"num_workers": 0, "max_workers": 0, "disk_size_gb": 0}
        check_at_least(self, "beam.dataflow", **sizes)
        if self.region:
            check_region("beam.dataflow.region", self.region)
        if self.service_account:
            check_google_account("beam.dataflow.service_account", self.service_account)
        if self.encryption_key:
            check_full_name("beam.dataflow.encryption_key", self.encryption_key)
        check_google_labels("beam.dataflow.labels", self.labels)
        for name, (pattern, expected) in _FORMS.items():
            value = getattr(self, name)
            if value and not pattern.fullmatch(value):
                raise InputError(f"beam.dataflow.{name}: got {value!r}, expected {expected}")
        if self.temp_location and find_storage(self.temp_location) is not GOOGLE_STORAGE:
            raise InputError(
                f"beam.dataflow.temp_location: got {self.temp_location!r}, expected a gs:// folder"
            )
        self._check_workers()
        self._check_network()
        self._check_places()

    def _check_workers(self) -> None:
        """Refuse numbers of workers that contradict each other.

        Raises:
            InputError: There is no autoscaling, and no `num_workers` or a `max_workers`; or
                `max_workers` is below `num_workers`. 0 stands for no number.
        """
        name = "beam.dataflow.max_workers"
        if not self.autoscaling and (not self.num_workers or self.max_workers):
            raise InputError(
                f"beam.dataflow.autoscaling: got false with num_workers {self.num_workers} and "
                f"max_workers {self.max_workers}, expected the fixed number in num_workers and "
                "no max_workers"
            )
        if 0 < self.max_workers < self.num_workers:
            raise InputError(
                f"{name}: got {self.max_workers} with num_workers {self.num_workers}, expected at "
                "least as many; raise it, or start with fewer"
            )

    def _check_network(self) -> None:
        """Refuse workers without public addresses in a network that may let them reach nothing.

        Raises:
            InputError: There is no subnetwork.
        """
        if not self.public_addresses and not self.subnetwork:
            raise InputError(
                "beam.dataflow.public_addresses: got false without beam.dataflow.subnetwork, "
                "expected a subnetwork with Private Google Access, as the workers reach neither "
                "Dataflow nor buckets otherwise; name it, and enable that access there (gcloud "
                "compute networks subnets update NAME --enable-private-ip-google-access)"
            )

    def _check_places(self) -> None:
        """Refuse a subnetwork or a key that is in another region than the workers.

        Raises:
            InputError: Subnetwork or key names another region than `region`.
        """
        for name, pattern in _PLACES.items():
            place = pattern.fullmatch(getattr(self, name))
            if place and self.region and place["region"] != self.region:
                raise InputError(
                    f"beam.dataflow.{name}: got one in {place['region']}, expected it in "
                    f"beam.dataflow.region, {self.region}, as Dataflow takes no other; choose "
                    "another, or the other region"
                )


def is_dataflow(runner: str) -> bool:
    """Return whether a `beam.runner` is Dataflow, by its short name or Beam's, in any case."""
    return runner.lower() in DATAFLOW_RUNNERS


def check_dataflow_settings(config: "BeamConfig") -> None:
    """Refuse settings for Dataflow if the runner is another, and what Dataflow cannot work with.

    Raises:
        InputError: The runner is not Dataflow, and a setting in `beam.dataflow` is not at its
            default. Or it is Dataflow, and one of `beam.options` cannot work there. Or
            `beam.runner` is `dataflow`, and neither `beam.dataflow` nor `beam.options` names the
            project, or the region, or `temp_location`, which may be missing only if
            `beam.shared_folder` is in gs://.
    """
    if not is_dataflow(config.runner):
        if config.dataflow != DataflowConfig():
            raise InputError(
                f"beam.dataflow: got settings with beam.runner={config.runner}; remove them, or "
                "set beam.runner to dataflow"
            )
        return
    refuse_options(config.options, _REFUSED_OPTIONS)
    _refuse_old_runner(config.options)
    if config.runner != "dataflow":
        return
    has_folder = find_storage(config.shared_folder) is GOOGLE_STORAGE
    for name, expected, is_derived in (
        ("project", "the id of a project", False),
        ("region", "a region such as us-central1", False),
        ("temp_location", "a gs:// folder, as beam.shared_folder is not in gs://", has_folder),
    ):
        is_option = has_option(config.options, f"--{name}")
        if not (getattr(config.dataflow, name) or is_option or is_derived):
            raise InputError(
                f"beam.dataflow.{name}: got nothing with beam.runner=dataflow; expected {expected}"
            )


def _refuse_old_runner(options: Sequence[str]) -> None:
    """Refuse the experiment that turns Runner v2 off.

    Raises:
        InputError: An option names it.
    """
    if old := list(filter(_OLD_RUNNER.match, join_options(options))):
        raise InputError(
            f"beam.options: got {old[0]}, expected no such experiment: Beam's Python has Runner v2 "
            "only; remove it"
        )
