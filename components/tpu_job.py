"""A step's command on a slice of TPUs, given to a custom job of Vertex AI."""

import dataclasses
from collections.abc import Mapping, Sequence

from albert_core.artifacts.manifest import Manifest
from albert_core.artifacts.outputs import output_at
from albert_core.errors import StepFailedError
from albert_core.progress import ReportProgress, quiet
from albert_core.storage import join


@dataclasses.dataclass(frozen=True, kw_only=True)
class TpuJob:
    """Machine, image and identity of a custom job on TPUs.

    Attributes:
        display_name: Its name.
        image: Image of the role `tpu`.
        machine_type: Machine with TPUs, such as `ct5lp-hightpu-4t`.
        tpu_topology: Layout of the slice, such as `4x4`.
        timeout_s: Seconds after which it is ended.
        env: Environment variables of the command.
        is_spot: Whether its machines may be taken away at any time, for a lower price.
        service_account: What it runs as; the default of Vertex AI when empty.
        network: VPC network to peer with.
        encryption_key: Name of the Cloud KMS key for what it writes.
        labels: Labels of the job.
    """

    display_name: str
    image: str
    machine_type: str
    tpu_topology: str
    timeout_s: int
    env: Mapping[str, str]
    is_spot: bool = False
    service_account: str = ""
    network: str = ""
    encryption_key: str = ""
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)


def run_on_tpus(
    *,
    command: Sequence[str],
    output: str,
    work_root: str,
    project: str,
    location: str,
    job: TpuJob,
    progress: ReportProgress = quiet,
) -> Manifest:
    """Run a step's command on TPUs and wait for it; return the manifest of its output.

    All addresses are gs://, which is not checked here. A repeated call waits for the unfinished job
    of the same settings; what `output` holds before is not looked at. SIGTERM and Ctrl-C cancel the
    job, if this is called in the main thread.

    Args:
        command: The command, for an image with `albert`; it writes `output`.
        output: Folder that the command makes.
        work_root: Folder of work in progress; the job's own outputs go to `custom_jobs` in it.
        project: Google Cloud project.
        location: Region that has the TPUs.
        job: Where the command runs, with which environment, and as whom.
        progress: Called with the job's states.

    Raises:
        StepFailedError: The job failed, was cancelled, or left no manifest at `output`; a
            StoppedError, if a signal to this process cancelled it.
        ServiceError: Vertex AI refused a call, or kept failing; or the storage failed.
        InputError: There are no credentials, or the manifest cannot be read.
    """
    from components.custom_job import run_custom_job

    run_custom_job(
        project=project,
        location=location,
        display_name=job.display_name,
        image=job.image,
        command=with_environment(command, job.env),
        machine_type=job.machine_type,
        tpu_topology=job.tpu_topology,
        staging_bucket=join(work_root, "custom_jobs"),
        timeout_s=job.timeout_s,
        is_spot=job.is_spot,
        service_account=job.service_account,
        network=job.network,
        encryption_key=job.encryption_key,
        labels=job.labels,
        progress=progress,
    )
    manifest = output_at(output).manifest()
    if manifest is None:
        raise StepFailedError(
            f"{job.display_name}: succeeded, but left no finished output at {output}; see its log"
        )
    return manifest


def with_environment(command: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """Return the command line that runs a command with these environment variables added.

    The program `env` does so: `env A=1 B=2 COMMAND ...`, with the variables sorted by name.
    """
    return ["env", *(f"{name}={value}" for name, value in sorted(env.items())), *command]
