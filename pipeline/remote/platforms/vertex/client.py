"""Runs and schedules of Vertex AI Pipelines, by Google's generated clients."""

import dataclasses
import functools
import re
from collections.abc import Mapping
from typing import Any

from albert_core.errors import InputError
from albert_core.storage import join
from components.service_calls import NOT_FOUND, CallConfig, Service, http_status
from components.vertex import REQUEST_LABEL, pipeline_client, schedule_client, to_message
from pipeline.remote.cron import CronSchedule
from pipeline.remote.package import Package
from pipeline.remote.platforms.platform import (
    Platform,
    RemoteRun,
    RemoteSchedule,
    Request,
    RunState,
    Submission,
    request_fingerprint,
)
from pipeline.remote.platforms.vertex.config import VertexConfig
from pipeline.remote.platforms.vertex.rules import VertexRules
from pipeline.remote.resources import Resources, read_resources
from pipeline.remote.step_resources import CustomJobSettings

_RUN_ID = re.compile(r"[a-z][-a-z0-9]{0,127}")
_FINAL_STATES = ("succeeded", "failed", "cancelled")
_PAGES = "https://console.cloud.google.com/vertex-ai/locations"


class VertexPlatform(Platform):
    """Vertex AI Pipelines of a project and location.

    The hash of a request is a label of its run or schedule.

    Args:
        config: Where, and as whom.
        calls: Time-outs and retries.

    Raises:
        InputError: The settings have no project or no location.
    """

    rules = VertexRules()

    def __init__(self, config: VertexConfig, calls: CallConfig) -> None:
        """Prepare to call Vertex AI, without calling it.

        Raises:
            InputError: The settings have no project or no location.
        """
        for name in ("project", "location"):
            if not getattr(config, name):
                raise InputError(f"vertex.{name}: got nothing, expected it for --target vertex")
        self.config = config
        self.service = Service(name=f"Vertex AI in {config.location}", config=calls)
        self._parent = f"projects/{config.project}/locations/{config.location}"

    @property
    def work_root(self) -> str:
        """Folder of work in progress: `work` in the root.

        Raises:
            InputError: There is no root.
        """
        if not self.config.root:
            raise InputError("vertex.root: got nothing, expected a gs:// folder")
        return join(self.config.root, "work")

    def read_resources(self, path: str) -> Resources:
        """Return the resources of the steps: the defaults, overridden by a file's values.

        Steps on TPUs, which run as custom jobs, have the account, network, key and labels that the
        pipeline itself runs with, as far as the file does not set others.

        Raises:
            InputError: The file is missing, or a value in it is wrong.
            ServiceError: The storage of the file failed.
        """
        return read_resources(self.rules, path, custom_job=self._custom_job)

    def complete_package(self, package: Package) -> Package:
        """Return a compiled pipeline with account, network, key and labels of its jobs on TPUs.

        They are those that the pipeline itself runs with, where it was compiled without.
        """
        return package.with_job_settings(dataclasses.asdict(self._custom_job))

    @property
    def _custom_job(self) -> CustomJobSettings:
        """What jobs on TPUs have in common with the pipeline that starts them."""
        names = (field.name for field in dataclasses.fields(CustomJobSettings))
        return CustomJobSettings(**{name: getattr(self.config, name) for name in names})

    def check_package(self, submission: Submission) -> None:
        """Refuse a package that says it is for another platform, or has settings of Kubernetes.

        Raises:
            InputError: It is such a package.
        """
        super().check_package(submission)
        if submission.package.platform is not None:
            raise self.wrong_platform(submission, "Kubeflow")

    @functools.cached_property
    def _pipelines(self) -> Any:
        return pipeline_client(self.config.location, self.config.endpoint)

    @functools.cached_property
    def _schedules(self) -> Any:
        return schedule_client(self.config.location, self.config.endpoint)

    def run_request(self, submission: Submission, run_id: str) -> Request:
        """Return the request that creates a PipelineJob, without sending it.

        Its path has the run's name as the job's id. Its hash is the fingerprint, and a label of the
        job.

        Raises:
            InputError: Vertex AI does not take such an id, or the package is for another platform.
        """
        if not _RUN_ID.fullmatch(run_id):
            raise InputError(
                f"--run_id: got {run_id!r}, expected up to 128 lower-case letters, digits and -, "
                "a letter first"
            )
        job = {"displayName": submission.title, **self._job_values(submission)}
        body, digest = self._add_labels(job)
        path = f"/v1/{self._parent}/pipelineJobs?pipelineJobId={run_id}"
        return Request(path=path, body=body, fingerprint=digest)

    def find_run(self, run_id: str, timeout_s: float) -> RemoteRun | None:
        """Return the PipelineJob of an id; None if there is none."""
        name = f"{self._parent}/pipelineJobs/{run_id}"
        try:
            job = self._pipelines.get_pipeline_job(name=name, retry=None, timeout=timeout_s)
        except Exception as error:
            if http_status(error) == NOT_FOUND:
                return None
            raise
        return self._remote_run(job)

    def start_run(self, request: Request, run_id: str, timeout_s: float) -> RemoteRun:
        """Create a PipelineJob; Vertex AI refuses a second one of its id with status 409."""
        from google.cloud.aiplatform_v1.types import PipelineJob

        job = self._pipelines.create_pipeline_job(
            parent=self._parent,
            pipeline_job=to_message(PipelineJob, request.body),
            pipeline_job_id=run_id,
            retry=None,
            timeout=timeout_s,
        )
        return self._remote_run(job)

    def run_state(self, run: RemoteRun, timeout_s: float) -> RunState:
        """Ask once for state, tasks and errors of a PipelineJob.

        States are Vertex's names in lower case, that of the run without `PIPELINE_STATE_`. If
        several tasks have the same name, the state of the last one in Vertex's answer counts, and
        the message of the last one that has a message. Google's exceptions are neither caught nor
        translated.
        """
        job = self._pipelines.get_pipeline_job(name=run.name, retry=None, timeout=timeout_s)
        state = job.state.name.removeprefix("PIPELINE_STATE_").lower()
        tasks = job.job_detail.task_details
        errors = {task.task_name: task.error.message for task in tasks if task.error.message}
        if job.error.message:
            errors["the run"] = job.error.message
        return RunState(
            state=state,
            has_ended=state in _FINAL_STATES,
            has_succeeded=state == "succeeded",
            tasks={task.task_name: task.state.name.lower() for task in tasks},
            errors=errors,
        )

    def schedule_request(
        self, submission: Submission, name: str, schedule: CronSchedule
    ) -> Request:
        """Return the request for a Schedule of PipelineJobs, one run at a time; sends nothing.

        Its hash, which covers name and times, is the fingerprint, and a label of the jobs.

        Raises:
            InputError: The package is for another platform.
        """
        timing = {
            "displayName": name,
            "cron": f"TZ={schedule.time_zone} {schedule.fields}",
            "maxConcurrentRunCount": "1",
        }
        job, digest = self._add_labels(self._job_values(submission), timing)
        inner = {"parent": self._parent, "pipelineJob": job}
        return Request(
            path=f"/v1/{self._parent}/schedules",
            body={**timing, "createPipelineJobRequest": inner},
            fingerprint=digest,
        )

    def find_schedules(self, name: str | None, timeout_s: float) -> list[RemoteSchedule]:
        """Return all Schedules of the location, or those with a display name if one is given."""
        request = {"parent": self._parent}
        if name is not None:
            request["filter"] = f'display_name="{name}"'
        pages = self._schedules.list_schedules(request=request, retry=None, timeout=timeout_s)
        return [_remote_schedule(schedule) for schedule in pages]

    def create_schedule(self, request: Request, timeout_s: float) -> RemoteSchedule:
        """Create a Schedule by a request of `schedule_request`."""
        from google.cloud.aiplatform_v1.types import Schedule

        values = to_message(Schedule, request.body)
        return _remote_schedule(
            self._schedules.create_schedule(
                parent=self._parent, schedule=values, retry=None, timeout=timeout_s
            )
        )

    def change_schedule(
        self, schedule: RemoteSchedule, request: Request, timeout_s: float
    ) -> RemoteSchedule:
        """Update times and job of the Schedule in place, and return it; name and state stay."""
        from google.cloud.aiplatform_v1.types import Schedule

        values = to_message(Schedule, {**request.body, "name": schedule.id})
        mask = {"paths": ["cron", "max_concurrent_run_count", "create_pipeline_job_request"]}
        return _remote_schedule(
            self._schedules.update_schedule(
                schedule=values, update_mask=mask, retry=None, timeout=timeout_s
            )
        )

    def pause_schedule(self, schedule: RemoteSchedule, timeout_s: float) -> None:
        """Pause the Schedule."""
        self._schedules.pause_schedule(name=schedule.id, retry=None, timeout=timeout_s)

    def resume_schedule(self, schedule: RemoteSchedule, timeout_s: float) -> None:
        """Resume the Schedule, without what it missed."""
        self._schedules.resume_schedule(name=schedule.id, retry=None, timeout=timeout_s)

    def delete_schedule(self, schedule: RemoteSchedule, timeout_s: float) -> None:
        """Delete the Schedule; wait until that is done, for at most `timeout_s` seconds more."""
        operation = self._schedules.delete_schedule(name=schedule.id, retry=None, timeout=timeout_s)
        operation.result(timeout=timeout_s)

    def _job_values(self, submission: Submission) -> dict[str, Any]:
        """Return the JSON of a PipelineJob that a run and a schedule have in common.

        Title and labels are not in it. Steps that do not depend on a failed one still run.

        Raises:
            InputError: The package is for another platform.
        """
        self.check_package(submission)
        config = self.config
        job: dict[str, Any] = {
            "pipelineSpec": dict(submission.package.spec),
            "runtimeConfig": {
                "gcsOutputDirectory": config.root,
                "parameterValues": dict(submission.parameters),
                "failurePolicy": "PIPELINE_FAILURE_POLICY_FAIL_SLOW",
            },
        }
        if config.service_account:
            job["serviceAccount"] = config.service_account
        if config.network:
            job["network"] = config.network
        if config.encryption_key:
            job["encryptionSpec"] = {"kmsKeyName": config.encryption_key}
        return job

    def _add_labels(
        self, job: dict[str, Any], schedule: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], str]:
        """Return a PipelineJob with its labels, among them the hash of the request; and the hash.

        The job is copied, not changed.

        Args:
            job: JSON of the job, without labels.
            schedule: JSON of its schedule, which the hash covers, too; None for a single run.
        """
        digest = request_fingerprint({**job, "labels": self.config.labels, **(schedule or {})})
        return {**job, "labels": {**self.config.labels, REQUEST_LABEL: digest}}, digest

    def _remote_run(self, job: Any) -> RemoteRun:
        """Return a PipelineJob of Google's client as the other platforms' runs are.

        The fingerprint is its label; empty if another program made it.
        """
        run_id = job.name.rpartition("/")[2]
        return RemoteRun(
            name=job.name,
            url=f"{_PAGES}/{self.config.location}/pipelines/runs/{run_id}"
            f"?project={self.config.project}",
            fingerprint=job.labels.get(REQUEST_LABEL, ""),
        )


def _remote_schedule(schedule: Any) -> RemoteSchedule:
    """Return a Schedule of Google's client as the other platforms' schedules are.

    The fingerprint is a label of its job.
    """
    job = schedule.create_pipeline_job_request.pipeline_job
    return RemoteSchedule(
        id=schedule.name,
        name=schedule.display_name,
        cron=schedule.cron,
        state=schedule.state.name.lower(),
        fingerprint=job.labels.get(REQUEST_LABEL, ""),
    )
