"""Beam's options for Dataflow, from the settings that people set."""

from typing import TYPE_CHECKING

from albert_core.errors import InputError
from albert_core.storage import GOOGLE_STORAGE, find_storage, join
from components.google_clients import is_plain_http

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

    from components.records.runners import BeamConfig

# In the form that Dataflow completes with the job's own project and zone.
_DISK_TYPES = "compute.googleapis.com/projects//zones//diskTypes"
_TEMP_FOLDER = "dataflow"
# Setting by setting, the option of Beam that takes its value; those left out are treated below.
_OPTIONS = {
    "project": "project",
    "region": "region",
    "service_account": "service_account_email",
    "machine_type": "worker_machine_type",
    "num_workers": "num_workers",
    "max_workers": "max_num_workers",
    "disk_size_gb": "disk_size_gb",
    "network": "network",
    "subnetwork": "subnetwork",
    "encryption_key": "dataflow_kms_key",
    "endpoint": "dataflow_endpoint",
}


def dataflow_options(config: "BeamConfig") -> list[str]:
    """Return Beam's options for the settings of Dataflow.

    Settings that are left to Dataflow give no option, except `temp_location`, which is then below a
    `beam.shared_folder` in gs://. Those of `beam.options` are not among them. At an endpoint of
    plain http nobody logs in.

    Args:
        config: Where the work is done.
    """
    settings = config.dataflow
    options = [
        f"--{option}={getattr(settings, name)}"
        for name, option in _OPTIONS.items()
        if getattr(settings, name)
    ]
    if temp_location := settings.temp_location or _default_temp_location(config):
        options.append(f"--temp_location={temp_location}")
    if settings.image:
        # The image holds all packages: without this, workers would install Beam once more.
        options += [f"--sdk_container_image={settings.image}", "--sdk_location=container"]
    if settings.disk_type:
        options.append(f"--worker_disk_type={_DISK_TYPES}/{settings.disk_type}")
    if not settings.autoscaling:
        options.append("--autoscaling_algorithm=NONE")
    if not settings.public_addresses:
        options.append("--no_use_public_ips")
    if is_plain_http(settings.endpoint):
        options.append("--no_auth")
    return options + [f"--labels={name}={value}" for name, value in settings.labels.items()]


def check_dataflow_options(options: "PipelineOptions") -> "GoogleCloudOptions":
    """Return the complete options of Google Cloud; refuse settings that lack what a job needs.

    They are a view of `options`: a change of one is one of the other. A region that is not named
    becomes the default one of gcloud in both.

    Args:
        options: All options of Beam, those that people gave included.

    Raises:
        InputError: Project, region, image or gs:// folder are missing.
    """
    from apache_beam.options.pipeline_options import GoogleCloudOptions, WorkerOptions
    from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

    cloud = options.view_as(GoogleCloudOptions)
    cloud.region = cloud.region or DataflowRunner().get_default_gcp_region()
    for name, expected in (
        ("project", "the id of a project"),
        ("region", "a region such as us-central1"),
        ("temp_location", "a gs:// folder"),
    ):
        if not getattr(cloud, name):
            raise InputError(f"beam.dataflow.{name}: got nothing, expected {expected}")
    if not options.view_as(WorkerOptions).sdk_container_image:
        raise InputError(
            "beam.dataflow.image: got nothing, expected an image with this package, such as the "
            "data image (docker/README.md), as Dataflow's own image does not have it"
        )
    return cloud


def _default_temp_location(config: "BeamConfig") -> str:
    """Return the folder `dataflow` in the shared one; empty if that is not in gs://."""
    is_google = find_storage(config.shared_folder) is GOOGLE_STORAGE
    return join(config.shared_folder, _TEMP_FOLDER) if is_google else ""
