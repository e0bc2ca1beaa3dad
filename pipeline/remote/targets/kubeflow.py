"""Kubeflow Pipelines."""

import dataclasses
import functools
import json
import os
import re
import warnings
from typing import Any

from albert_core.errors import InputError
from albert_core.storage import join
from components.service_calls import CallConfig, Service
from pipeline.remote.cron import CronSchedule
from pipeline.remote.resources import Resources, TargetName, read_resources
from pipeline.remote.targets.target import (
    RemoteRun,
    RemoteSchedule,
    Request,
    RunState,
    Submission,
    fingerprint_of,
)

_ENDED = ("succeeded", "failed", "canceled", "skipped")
_API = "/apis/v2beta1"
_PAGE = 100
_REQUEST = re.compile(r"albert request ([0-9a-f]+)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class KubeflowConfig:
    """Kubeflow Pipelines: where, and as whom.

    Attributes:
        host: Address of its API, such as https://kubeflow.example.org/pipeline.
        namespace: Namespace of a server with several users; nothing for one without.
        experiment: Experiment that the runs belong to.
        root: Folder for artifacts, in a storage that the server knows: gs://, s3:// or minio://.
        work_root: gs:// folder of work in progress; `work` in `root` when empty.
        service_account: Kubernetes service account of the steps; the server's own when empty.
        time_zone: What the server schedules by, its CRON_SCHEDULE_TIMEZONE.
    """

    host: str = ""
    namespace: str = ""
    experiment: str = "albert"
    root: str = ""
    work_root: str = ""
    service_account: str = ""
    time_zone: str = "UTC"


class KubeflowTarget:
    """Kubeflow Pipelines of a host.

    Runs carry no labels there: the hash of their request is in their description.
    """

    name: TargetName = "kubeflow"

    def __init__(self, config: KubeflowConfig, calls: CallConfig) -> None:
        if not config.host:
            raise InputError("kubeflow.host: got nothing, expected it for --target kubeflow")
        self.config = config
        self.service = Service(name=f"Kubeflow at {config.host}", config=calls)

    @property
    def work_root(self) -> str:
        """Folder of work in progress: as set, or `work` in a root in gs://."""
        root = self.config.root
        if not root:
            raise InputError("kubeflow.root: got nothing, expected a folder for artifacts")
        if not self.config.work_root and not root.startswith("gs://"):
            raise InputError(
                f"kubeflow.work_root: got nothing with kubeflow.root={root}, expected a gs:// "
                "folder"
            )
        return self.config.work_root or join(root, "work")

    def read_resources(self, path: str) -> Resources:
        """Return the table of Kubeflow with a file's values."""
        return read_resources(self.name, path)

    @functools.cached_property
    def _client(self) -> Any:
        """The client of kfp, which knows the ways of logging in."""
        import kfp
        from kfp.client import KF_PIPELINES_SA_TOKEN_ENV, ServiceAccountTokenVolumeCredentials

        has_token = KF_PIPELINES_SA_TOKEN_ENV in os.environ
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            # With its default namespace it would ask the server's mode, without a time-out.
            return kfp.Client(
                host=self.config.host,
                namespace=self.config.namespace or "single-user",
                credentials=ServiceAccountTokenVolumeCredentials() if has_token else None,
            )

    def run_request(self, submission: Submission, run_id: str) -> Request:
        """Return a Run."""
        return self._request("runs", run_id, self._work(submission))

    def find_run(self, run_id: str, timeout_s: float) -> RemoteRun | None:
        """Look for a Run of that display name in the experiment."""
        experiment = self._find_experiment(timeout_s)
        if experiment is None:
            return None
        found = self._client.runs.run_service_list_runs(
            experiment_id=experiment, filter=_named(run_id), **_within(timeout_s)
        )
        return next((self._run(run) for run in found.runs or ()), None)

    def start_run(self, request: Request, run_id: str, timeout_s: float) -> RemoteRun:
        """Create a Run; Kubeflow itself would take a second one of its name."""
        body = {**request.body, "experiment_id": self._experiment(timeout_s)}
        return self._run(self._client.runs.run_service_create_run(body, **_within(timeout_s)))

    def run_state(self, run: RemoteRun, timeout_s: float) -> RunState:
        """Read state and tasks of a Run."""
        found = self._client.runs.run_service_get_run(run.name, **_within(timeout_s))
        state = (found.state or "pending").lower()
        tasks = (found.run_details and found.run_details.task_details) or []
        failed = {task.display_name: task.error.message for task in tasks if task.error}
        if found.error:
            failed["the run"] = found.error.message
        return RunState(
            state=state,
            has_ended=state in _ENDED,
            has_succeeded=state == "succeeded",
            tasks={task.display_name: (task.state or "pending").lower() for task in tasks},
            errors=failed,
        )

    def schedule_request(
        self, submission: Submission, name: str, schedule: CronSchedule
    ) -> Request:
        """Return a RecurringRun."""
        cron = schedule.for_kubeflow(self.config.time_zone)
        timing = {
            "trigger": {"cron_schedule": {"cron": cron}},
            "max_concurrency": "1",
            "no_catchup": True,
            "mode": "ENABLE",
        }
        return self._request("recurringruns", name, {**self._work(submission), **timing})

    def find_schedules(self, name: str | None, timeout_s: float) -> list[RemoteSchedule]:
        """List RecurringRuns of the experiment, by display name."""
        experiment = self._find_experiment(timeout_s)
        if experiment is None:
            return []
        wanted = {} if name is None else {"filter": _named(name)}
        found: list[RemoteSchedule] = []
        token = ""
        while True:
            page = self._client.recurring_runs.recurring_run_service_list_recurring_runs(
                experiment_id=experiment,
                page_token=token,
                page_size=_PAGE,
                **wanted,
                **_within(timeout_s),
            )
            found += [_schedule(each) for each in page.recurring_runs or ()]
            token = page.next_page_token
            if not token:
                return found

    def create_schedule(self, request: Request, timeout_s: float) -> RemoteSchedule:
        """Create a RecurringRun."""
        body = {**request.body, "experiment_id": self._experiment(timeout_s)}
        service = self._client.recurring_runs
        return _schedule(
            service.recurring_run_service_create_recurring_run(body, **_within(timeout_s))
        )

    def change_schedule(
        self, schedule: RemoteSchedule, request: Request, timeout_s: float
    ) -> RemoteSchedule:
        """Create another RecurringRun: they cannot be changed."""
        mode = "DISABLE" if schedule.state == "paused" else "ENABLE"
        changed = dataclasses.replace(request, body={**request.body, "mode": mode})
        return self.create_schedule(changed, timeout_s)

    def pause_schedule(self, schedule: RemoteSchedule, timeout_s: float) -> None:
        """Disable the RecurringRun."""
        self._client.recurring_runs.recurring_run_service_disable_recurring_run(
            schedule.id, **_within(timeout_s)
        )

    def resume_schedule(self, schedule: RemoteSchedule, timeout_s: float) -> None:
        """Enable the RecurringRun; it was created without catching up."""
        self._client.recurring_runs.recurring_run_service_enable_recurring_run(
            schedule.id, **_within(timeout_s)
        )

    def delete_schedule(self, schedule: RemoteSchedule, timeout_s: float) -> None:
        """Delete the RecurringRun."""
        self._client.recurring_runs.recurring_run_service_delete_recurring_run(
            schedule.id, **_within(timeout_s)
        )

    def _work(self, submission: Submission) -> dict[str, Any]:
        """Return what runs and recurring runs have in common."""
        package = submission.package
        spec: dict[str, Any] = dict(package.spec)
        if package.platform is not None:
            spec = {"pipeline_spec": spec, "platform_spec": dict(package.platform)}
        work: dict[str, Any] = {
            "pipeline_spec": spec,
            "runtime_config": {
                "parameters": dict(submission.parameters),
                "pipeline_root": self.config.root,
            },
        }
        if self.config.service_account:
            work["service_account"] = self.config.service_account
        return work

    def _request(self, collection: str, name: str, work: dict[str, Any]) -> Request:
        digest = fingerprint_of({**work, "display_name": name})
        described = {"display_name": name, "description": f"albert request {digest}"}
        return Request(path=f"{_API}/{collection}", body={**described, **work}, fingerprint=digest)

    def _experiment(self, timeout_s: float) -> str:
        """Return the id of the experiment, which is created if there is none."""
        found = self._find_experiment(timeout_s)
        if found is None:
            body = {"display_name": self.config.experiment, **self._in_namespace()}
            made = self._client.experiments.experiment_service_create_experiment(
                body, **_within(timeout_s)
            )
            found = str(made.experiment_id)
        return found

    def _find_experiment(self, timeout_s: float) -> str | None:
        found = self._client.experiments.experiment_service_list_experiments(
            **self._in_namespace(), filter=_named(self.config.experiment), **_within(timeout_s)
        )
        return next((str(each.experiment_id) for each in found.experiments or ()), None)

    def _in_namespace(self) -> dict[str, str]:
        return {"namespace": self.config.namespace} if self.config.namespace else {}

    def _run(self, run: Any) -> RemoteRun:
        return RemoteRun(
            name=run.run_id,
            url=f"{self.config.host.rstrip('/')}/#/runs/details/{run.run_id}",
            fingerprint=_fingerprint_in(run.description),
        )


def _schedule(recurring: Any) -> RemoteSchedule:
    status = recurring.status or f"{recurring.mode}D"
    return RemoteSchedule(
        id=recurring.recurring_run_id,
        name=recurring.display_name,
        cron=recurring.trigger.cron_schedule.cron if recurring.trigger.cron_schedule else "",
        state="active" if status == "ENABLED" else "paused",
        fingerprint=_fingerprint_in(recurring.description),
    )


def _fingerprint_in(description: str | None) -> str:
    match = _REQUEST.search(description or "")
    return match[1] if match else ""


def _named(name: str) -> str:
    predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
    return json.dumps({"predicates": [predicate]})


def _within(timeout_s: float) -> dict[str, tuple[float, float]]:
    """Return the time-out as the generated client takes it: to connect, and to read."""
    return {"_request_timeout": (timeout_s, timeout_s)}
