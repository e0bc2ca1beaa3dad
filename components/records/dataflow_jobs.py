"""The jobs of Dataflow, by Google's generated clients."""

import dataclasses
import datetime
from typing import Any

from components.google_clients import rest_client
from components.service_calls import CallConfig, Service

_PREFIX = "JOB_STATE_"
_PAGES = "https://console.cloud.google.com/dataflow/jobs"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Message:
    """A message of a job.

    Attributes:
        time_s: When, in seconds since 1970; 0 where Dataflow does not say.
        text: What it says.
        importance: `basic`, `warning` or `error`.
    """

    time_s: float
    text: str
    importance: str


class DataflowJobs:
    """The jobs of a project and region; each call is repeated while that may help.

    Attributes:
        project: Google Cloud project.
        region: Its region.
        service: Makes the calls.
    """

    def __init__(
        self, project: str, region: str, endpoint: str, calls: CallConfig | None = None
    ) -> None:
        """Make the clients, without a call.

        Args:
            project: Google Cloud project.
            region: Its region.
            endpoint: Address of the service.
            calls: Time-outs and retries; the defaults when None.

        Raises:
            InputError: There are no credentials, or they would leave this machine unencrypted.
        """
        from google.cloud import dataflow_v1beta3 as dataflow

        self.project, self.region = project, region
        name = f"Dataflow in {region}"
        self.service = Service(name=name, config=calls or CallConfig())
        where = {"service": name, "setting": "beam.dataflow.endpoint"}
        self._jobs = rest_client(dataflow.JobsV1Beta3Client, endpoint, **where)
        self._messages = rest_client(dataflow.MessagesV1Beta3Client, endpoint, **where)

    def find_active(self, name: str) -> list[str]:
        """Return the ids of the jobs of a name that have not ended.

        Raises:
            ServiceError: Dataflow refused, or kept failing.
        """
        request = {"filter": "ACTIVE", **self._place}
        # Without retries of Google's client, here and below: `Service` has its own.
        jobs = self.service.call(
            f"look for job {name}",
            lambda timeout_s: list(self._jobs.list_jobs(request, retry=None, timeout=timeout_s)),
        )
        return [job.id for job in jobs if job.name == name]

    def state(self, job: str) -> str:
        """Return the state of a job, such as `running`.

        Raises:
            ServiceError: Dataflow refused, or kept failing.
        """
        request = {"job_id": job, **self._place}
        answer = self.service.call(
            f"watch job {job}",
            lambda timeout_s: self._jobs.get_job(request, retry=None, timeout=timeout_s),
        )
        return str(answer.current_state.name).removeprefix(_PREFIX).lower()

    def messages(self, job: str, since_s: float) -> list[Message]:
        """Return the messages of a job from a time on, without those for developers.

        They come in the order in which Dataflow lists them.

        Args:
            job: Id of the job.
            since_s: The time, in seconds since 1970; 0 for all messages.

        Raises:
            ServiceError: Dataflow refused, or kept failing.
        """
        from google.cloud.dataflow_v1beta3 import JobMessageImportance

        lowest = JobMessageImportance.JOB_MESSAGE_BASIC
        request: dict[str, Any] = {"job_id": job, "minimum_importance": lowest, **self._place}
        if since_s:
            request["start_time"] = datetime.datetime.fromtimestamp(since_s, datetime.UTC)

        def read(timeout_s: float) -> list[Any]:
            """Read all pages of messages."""
            return list(self._messages.list_job_messages(request, retry=None, timeout=timeout_s))

        return [
            Message(
                time_s=message.time.timestamp() if message.time else 0.0,
                text=message.message_text,
                importance=message.message_importance.name.rpartition("_")[2].lower(),
            )
            for message in self.service.call(f"read messages of job {job}", read)
        ]

    def cancel(self, job: str) -> None:
        """Ask for a job to be cancelled; does not wait until it is.

        Raises:
            ServiceError: Dataflow refused, or kept failing.
        """
        request = {"job_id": job, "job": {"requested_state": "JOB_STATE_CANCELLED"}, **self._place}
        self.service.call(
            f"cancel job {job}",
            lambda timeout_s: self._jobs.update_job(request, retry=None, timeout=timeout_s),
        )

    def page(self, job: str) -> str:
        """Return the address of a job's page."""
        return f"{_PAGES}/{self.region}/{job}?project={self.project}"

    def startup_log_command(self, job: str) -> str:
        """Return the command that shows the log of a job's workers from their start."""
        return (
            f'gcloud logging read \'resource.labels.job_id="{job}" AND '
            f'log_id("dataflow.googleapis.com/worker-startup")\' --project {self.project}'
        )

    @property
    def _place(self) -> dict[str, str]:
        return {"project_id": self.project, "location": self.region}
