"""Run a command on TPUs by a custom job of Vertex AI, from a component that only waits for it."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from albert_core.errors import StepFailedError, StoppedError
from albert_core.files.atomic import hash_json
from albert_core.processes.stops import SAVING_S, longer_grace
from albert_core.progress import ReportProgress, quiet, report_message
from albert_core.training.signals import catch_signals
from components.service_calls import CallConfig, Service
from components.vertex import REQUEST_LABEL, job_client, to_message

_UNFINISHED_STATES = ("JOB_STATE_QUEUED", "JOB_STATE_PENDING", "JOB_STATE_RUNNING")
_FINAL_STATES = (
    "JOB_STATE_SUCCEEDED",
    "JOB_STATE_FAILED",
    "JOB_STATE_CANCELLED",
    "JOB_STATE_EXPIRED",
)
_MAX_PAUSE_S = 15.0
_SIGNAL_POLL_S = 0.2


def run_custom_job(
    *,
    project: str,
    location: str,
    display_name: str,
    image: str,
    command: Sequence[str],
    machine_type: str,
    tpu_topology: str,
    staging_bucket: str,
    timeout_s: int,
    is_spot: bool = False,
    service_account: str = "",
    network: str = "",
    encryption_key: str = "",
    labels: Mapping[str, str] | None = None,
    endpoint: str = "",
    calls: CallConfig | None = None,
    progress: ReportProgress = quiet,
) -> None:
    """Run a command on a slice of TPUs as a custom job, and wait until it has succeeded.

    A repeated call, as by a retried component, finds the unfinished job of the same settings and
    waits for that one; a job that has ended is not found, and another one is made. SIGTERM and
    Ctrl-C cancel the job, which would cost until its time-out; they are noticed in the main thread
    only, and the end of the cancelled job is not waited for.

    Args:
        project: Google Cloud project.
        location: Region that has the TPUs.
        display_name: Name of the job.
        image: Image of the role `tpu`.
        command: What to run in it.
        machine_type: Machine with TPUs, such as `ct5lp-hightpu-4t`.
        tpu_topology: Layout of the slice, such as `4x4`.
        staging_bucket: gs:// folder for the job's own outputs.
        timeout_s: Seconds after which Vertex AI ends the job.
        is_spot: Whether Vertex AI may take its machines away at any time, for a lower price.
        service_account: What the job runs as; the default of Vertex AI when empty.
        network: VPC network to peer with, as `projects/NUMBER/global/networks/NAME`.
        encryption_key: Name of the Cloud KMS key for what the job writes.
        labels: Further labels of the job.
        endpoint: Address of Vertex AI; that of the location when empty.
        calls: Time-outs and retries of calls to Vertex AI; the defaults when None.
        progress: Called with each new state of the job.

    Raises:
        InputError: There are no credentials, or they would go to `endpoint` unencrypted.
        StepFailedError: The job failed, was cancelled by others or ran out of time.
        StoppedError: A signal came, and the job was cancelled.
        ServiceError: Vertex AI refused a call, or kept failing.
    """
    job = _job_values(
        display_name=display_name,
        spec=_job_spec(
            image=image,
            command=command,
            machine_type=machine_type,
            tpu_topology=tpu_topology,
            staging_bucket=staging_bucket,
            timeout_s=timeout_s,
            is_spot=is_spot,
        ),
        job_spec={"serviceAccount": service_account, "network": network},
        encryption_key=encryption_key,
        labels=labels or {},
    )
    service = Service(name=f"Vertex AI in {location}", config=calls or CallConfig())
    jobs = _CustomJobs(job_client(location, endpoint), f"projects/{project}/locations/{location}")
    # Also while it is made, or it could be left uncancelled; and each call may take its time.
    with catch_signals() as signal_name, longer_grace(lambda: SAVING_S):
        name = service.create_once(
            f"custom job {display_name}",
            find=lambda timeout_s: jobs.find_unfinished(job["labels"][REQUEST_LABEL], timeout_s),
            create=lambda timeout_s: jobs.create(job, timeout_s),
        )
        _wait(service, jobs, name, display_name, progress, signal_name)


def _job_spec(
    *,
    image: str,
    command: Sequence[str],
    machine_type: str,
    tpu_topology: str,
    staging_bucket: str,
    timeout_s: int,
    is_spot: bool,
) -> dict[str, Any]:
    """Return the JSON of a job's spec: one machine pool with the slice, which runs the command.

    The command replaces the image's own; the arguments are those of `run_custom_job`.
    """
    pool = {
        "machineSpec": {"machineType": machine_type, "tpuTopology": tpu_topology},
        "replicaCount": "1",
        "containerSpec": {"imageUri": image, "command": list(command)},
    }
    return {
        "workerPoolSpecs": [pool],
        "scheduling": {"timeout": f"{timeout_s}s", **({"strategy": "SPOT"} if is_spot else {})},
        "baseOutputDirectory": {"outputUriPrefix": staging_bucket},
    }


def _job_values(
    *,
    display_name: str,
    spec: dict[str, Any],
    job_spec: dict[str, str],
    encryption_key: str,
    labels: Mapping[str, str],
) -> dict[str, Any]:
    """Return the JSON of the job, labelled with a hash of everything else in it.

    Args:
        display_name: Name of the job.
        spec: What `_job_spec` returns.
        job_spec: Further values of the spec; empty ones are left out.
        encryption_key: Name of a key; left out when empty.
        labels: Further labels; the hash replaces one of the name REQUEST_LABEL.
    """
    job: dict[str, Any] = {
        "displayName": display_name,
        "jobSpec": {**spec, **{key: value for key, value in job_spec.items() if value}},
        "labels": dict(labels),
    }
    if encryption_key:
        job["encryptionSpec"] = {"kmsKeyName": encryption_key}
    job["labels"][REQUEST_LABEL] = hash_json(job)[:32]
    return job


class _CustomJobs:
    """The custom jobs of a project and location.

    Each method makes one call, without retries, and waits `timeout_s` seconds for the answer; it
    raises the errors of Google's client.
    """

    def __init__(self, client: Any, parent: str) -> None:
        self.client = client
        self.parent = parent

    def find_unfinished(self, request: str, timeout_s: float) -> str | None:
        """Return the full name of a queued, pending or running job of this hash, or None.

        If there are several, it is the first in Vertex AI's list.

        Args:
            request: The label REQUEST_LABEL of the job.
            timeout_s: Seconds to wait for the answer.
        """
        states = " OR ".join(f'state="{state}"' for state in _UNFINISHED_STATES)
        job_filter = f'labels.{REQUEST_LABEL}="{request}" AND ({states})'
        jobs = self.client.list_custom_jobs(
            request={"parent": self.parent, "filter": job_filter}, retry=None, timeout=timeout_s
        )
        return next((job.name for job in jobs), None)

    def create(self, values: dict[str, Any], timeout_s: float) -> str:
        """Create a job from its JSON, and return its full name (`projects/.../customJobs/N`)."""
        from google.cloud.aiplatform_v1.types import CustomJob

        job = to_message(CustomJob, values)
        created = self.client.create_custom_job(
            parent=self.parent, custom_job=job, retry=None, timeout=timeout_s
        )
        return str(created.name)

    def get(self, name: str, timeout_s: float) -> Any:
        """Return a job, a `CustomJob` of Google's client, by its full name."""
        return self.client.get_custom_job(name=name, retry=None, timeout=timeout_s)

    def cancel(self, name: str, timeout_s: float) -> None:
        """Ask for a job to be cancelled; does not wait until it is."""
        self.client.cancel_custom_job(name=name, retry=None, timeout=timeout_s)


def _wait(
    service: Service,
    jobs: _CustomJobs,
    name: str,
    display_name: str,
    progress: ReportProgress,
    signal_name: Callable[[], str | None],
) -> None:
    """Ask for a job's state until it has succeeded; cancel the job on SIGTERM or SIGINT.

    Pauses between calls double from `first_pause_s` to 15 s, and end at a signal. Signals are
    noticed in the main thread only. Does not wait until a cancelled job has ended.

    Args:
        service: Makes the calls.
        jobs: Where the job is.
        name: Its full name.
        display_name: Its name for messages.
        progress: Called with each new state.
        signal_name: Returns the name of the signal that the process received, or None.

    Raises:
        StoppedError: The job was cancelled by a signal.
        StepFailedError: The job did not succeed.
        ServiceError: Vertex AI refused a call, or kept failing.
    """
    pause_s, shown = service.config.first_pause_s, ""
    while True:
        job = service.call(f"watch {name}", lambda timeout_s: jobs.get(name, timeout_s))
        state = job.state.name
        if state != shown:
            report_message(progress, f"{display_name}: {state.removeprefix('JOB_STATE_').lower()}")
            shown = state
        if state in _FINAL_STATES:
            break
        _pause(pause_s, is_over=lambda: bool(signal_name()))
        if signal := signal_name():
            service.call(f"cancel {name}", lambda timeout_s: jobs.cancel(name, timeout_s))
            raise StoppedError(f"{display_name}: cancelled {name}, as {signal} came")
        pause_s = min(2 * pause_s, _MAX_PAUSE_S)
    if state != "JOB_STATE_SUCCEEDED":
        reason = f": {job.error.message}" if job.error.message else ""
        raise StepFailedError(
            f"{display_name}: {name} ended as {state.removeprefix('JOB_STATE_').lower()}{reason}; "
            "its log is in Cloud Logging"
        )


def _pause(seconds: float, *, is_over: Callable[[], bool]) -> None:
    """Sleep for some seconds, or until `is_over`, asked five times a second, returns True."""
    end = time.monotonic() + seconds
    while not is_over() and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, _SIGNAL_POLL_S))
