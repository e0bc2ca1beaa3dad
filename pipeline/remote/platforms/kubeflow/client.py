"""Runs and schedules of Kubeflow Pipelines, by kfp's own client."""

import dataclasses
import functools
import json
import os
import warnings
from typing import Any

from albert_core.errors import InputError
from albert_core.network.certificates import certificates_file
from albert_core.storage import SCHEMES, find_storage, join
from components.service_calls import CallConfig, Service
from pipeline.remote.cron import CronSchedule
from pipeline.remote.platforms.kubeflow.config import KubeflowConfig
from pipeline.remote.platforms.kubeflow.messages import (
    fingerprint_in,
    name_filter,
    to_cron,
    to_description,
    to_remote_schedule,
)
from pipeline.remote.platforms.kubeflow.rules import KubeflowRules
from pipeline.remote.platforms.kubeflow.versions import check_version, version_in
from pipeline.remote.platforms.platform import (
    Platform,
    RemoteRun,
    RemoteSchedule,
    Request,
    RunState,
    Submission,
    request_fingerprint,
)
from pipeline.remote.platforms.vertex.rules import VERTEX_PLACEHOLDERS

_FINAL_STATES = ("succeeded", "failed", "canceled", "skipped")
_API = "/apis/v2beta1"
_PAGE_SIZE = 100


class KubeflowPlatform(Platform):
    """Kubeflow Pipelines of a host.

    Runs carry no labels there: the hash of their request is in their description. Methods that call
    the server make the client first, and may raise the InputError of `_client`.
    """

    rules = KubeflowRules()

    def __init__(self, config: KubeflowConfig, calls: CallConfig) -> None:
        """Prepare to call Kubeflow, without calling it.

        Raises:
            InputError: The settings have no host.
        """
        if not config.host:
            raise InputError("kubeflow.host: got nothing, expected it for --target kubeflow")
        self.config = config
        self.service = Service(name=f"Kubeflow at {config.host}", config=calls)

    @property
    def work_root(self) -> str:
        """Folder of work in progress: as set, or `work` in a root in gs:// or s3://.

        Raises:
            InputError: There is no root, or one in another storage without a `work_root`.
        """
        root = self.config.root
        if not root:
            raise InputError("kubeflow.root: got nothing, expected a folder for artifacts")
        if not self.config.work_root and not find_storage(root):
            raise InputError(
                f"kubeflow.work_root: got nothing with kubeflow.root={root}, expected a folder in "
                f"{SCHEMES}"
            )
        return self.config.work_root or join(root, "work")

    @functools.cached_property
    def _client(self) -> Any:
        """Kfp's client, which knows the ways of logging in; made at the first use.

        With KF_PIPELINES_SA_TOKEN_PATH set, it logs in by the token of the pod's service account.

        Raises:
            InputError: The file of that token is not there or cannot be read, or the certificates
                cannot be read (`certificates_file`).
        """
        import kfp
        from kfp.client import KF_PIPELINES_SA_TOKEN_ENV, ServiceAccountTokenVolumeCredentials

        token = os.environ.get(KF_PIPELINES_SA_TOKEN_ENV)
        if token and not os.access(token, os.R_OK):
            raise InputError(
                f"{KF_PIPELINES_SA_TOKEN_ENV} {token}: no such file, expected one with the token "
                "of a service account; make it with `kubectl create token`, or unset the variable"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            # Given its default namespace the client asks the server whether it has several users,
            # a call that cannot be given a time-out.
            return kfp.Client(
                host=self.config.host,
                namespace=self.config.namespace or "single-user",
                credentials=ServiceAccountTokenVolumeCredentials() if token else None,
                ssl_ca_cert=certificates_file(),
            )

    def check_server(self, *, runs_pipeline: bool) -> None:
        """Refuse a server that is not Kubeflow Pipelines or, for running, is too old.

        For running, a server that does not tell its version, or not in numbers, is accepted, and
        reported on standard error. If the setting `check_version` is false, the server is not asked
        at all.

        Args:
            runs_pipeline: Whether the server is to run the pipeline; else its version does not
                matter.

        Raises:
            InputError: The server answers with a page; it is older than 2.16 and `runs_pipeline` is
                true; or the client cannot be made (`_client`).
            ServiceError: The server was not reached, refused the call, or kept failing.
        """
        if not self.config.check_version:
            return
        health = self.service.call("kubeflow.host", self._get_health)
        if not isinstance(health, dict):
            raise InputError(
                f"kubeflow.host: {self.config.host} answered with a page, expected the API of "
                "Kubeflow Pipelines 2: log in as docs/operations.md says, or correct the address"
            )
        if runs_pipeline:
            check_version(version_in(health), self.service.name)

    def _get_health(self, timeout_s: float) -> Any:
        """Return what the server says of itself: a mapping, or the text of a page.

        Raises the exceptions of kfp's client.
        """
        # The client's own method drops the version from the answer.
        return self._client._healthz_api.api_client.call_api(
            f"{_API}/healthz",
            "GET",
            response_type="object",
            auth_settings=["Bearer"],
            _return_http_data_only=True,
            **self._timeouts(timeout_s),
        )

    def check_package(self, submission: Submission) -> None:
        """Refuse a package that says it is for another platform, or has what only Vertex AI fills.

        That is what jobs on TPUs and the date of schedules need: a package for Vertex AI without
        them that an earlier version compiled is taken.

        Raises:
            InputError: It is such a package.
        """
        super().check_package(submission)
        text = json.dumps([submission.package.spec, dict(submission.parameters)])
        if any(placeholder in text for placeholder in VERTEX_PLACEHOLDERS):
            raise self.wrong_platform(submission, "Vertex AI")

    def run_request(self, submission: Submission, run_id: str) -> Request:
        """Return the request that creates a Run of that display name, without sending it.

        The experiment is not in it: `start_run` adds that. Its hash is the fingerprint, and in the
        description.

        Raises:
            InputError: The package is for another platform (`check_package`).
        """
        return self._request("runs", run_id, self._run_values(submission))

    def find_run(self, run_id: str, timeout_s: float) -> RemoteRun | None:
        """Return the first Run of that display name in the experiment; None if there is none."""
        experiment = self._find_experiment(timeout_s)
        if experiment is None:
            return None
        page = self._client.runs.run_service_list_runs(
            experiment_id=experiment, filter=name_filter(run_id), **self._timeouts(timeout_s)
        )
        return next((self._remote_run(run) for run in page.runs or ()), None)

    def start_run(self, request: Request, run_id: str, timeout_s: float) -> RemoteRun:
        """Create a Run, and the experiment if there is none.

        Kubeflow takes a second Run of the same name: callers look first.
        """
        body = {**request.body, "experiment_id": self._ensure_experiment(timeout_s)}
        return self._remote_run(
            self._client.runs.run_service_create_run(body, **self._timeouts(timeout_s))
        )

    def run_state(self, run: RemoteRun, timeout_s: float) -> RunState:
        """Return state, tasks and errors of a Run; what has no state yet is `pending`.

        States are Kubeflow's in lower case. If several tasks have the same name, the last counts.
        """
        details = self._client.runs.run_service_get_run(run.name, **self._timeouts(timeout_s))
        state = (details.state or "pending").lower()
        tasks = (details.run_details and details.run_details.task_details) or []
        errors = {task.display_name: task.error.message for task in tasks if task.error}
        if details.error:
            errors["the run"] = details.error.message
        return RunState(
            state=state,
            has_ended=state in _FINAL_STATES,
            has_succeeded=state == "succeeded",
            tasks={task.display_name: (task.state or "pending").lower() for task in tasks},
            errors=errors,
        )

    def schedule_request(
        self, submission: Submission, name: str, schedule: CronSchedule
    ) -> Request:
        """Return the request for a RecurringRun: enabled, one run at a time, no catching up.

        Raises:
            InputError: The schedule is by another clock than the server's, or the package is
                for another platform (`check_package`).
        """
        cron = to_cron(schedule, self.config.time_zone)
        timing = {
            "trigger": {"cron_schedule": {"cron": cron}},
            "max_concurrency": "1",
            "no_catchup": True,
            "mode": "ENABLE",
        }
        return self._request("recurringruns", name, {**self._run_values(submission), **timing})

    def find_schedules(self, name: str | None, timeout_s: float) -> list[RemoteSchedule]:
        """Return all RecurringRuns of the experiment, or those with a display name if one is given.

        There are none without such an experiment. One call for each page of the list.
        """
        experiment = self._find_experiment(timeout_s)
        if experiment is None:
            return []
        selection = {} if name is None else {"filter": name_filter(name)}
        schedules: list[RemoteSchedule] = []
        token = ""
        while True:
            page = self._client.recurring_runs.recurring_run_service_list_recurring_runs(
                experiment_id=experiment,
                page_token=token,
                page_size=_PAGE_SIZE,
                **selection,
                **self._timeouts(timeout_s),
            )
            schedules += [to_remote_schedule(item) for item in page.recurring_runs or ()]
            token = page.next_page_token
            if not token:
                return schedules

    def create_schedule(self, request: Request, timeout_s: float) -> RemoteSchedule:
        """Create a RecurringRun, and the experiment if there is none."""
        body = {**request.body, "experiment_id": self._ensure_experiment(timeout_s)}
        service = self._client.recurring_runs
        return to_remote_schedule(
            service.recurring_run_service_create_recurring_run(body, **self._timeouts(timeout_s))
        )

    def change_schedule(
        self, schedule: RemoteSchedule, request: Request, timeout_s: float
    ) -> RemoteSchedule:
        """Create another RecurringRun, disabled if the old one is: they cannot be changed.

        The old one stays.
        """
        mode = "DISABLE" if schedule.state == "paused" else "ENABLE"
        changed = dataclasses.replace(request, body={**request.body, "mode": mode})
        return self.create_schedule(changed, timeout_s)

    def pause_schedule(self, schedule: RemoteSchedule, timeout_s: float) -> None:
        """Disable the RecurringRun."""
        self._client.recurring_runs.recurring_run_service_disable_recurring_run(
            schedule.id, **self._timeouts(timeout_s)
        )

    def resume_schedule(self, schedule: RemoteSchedule, timeout_s: float) -> None:
        """Enable the RecurringRun; it was created without catching up."""
        self._client.recurring_runs.recurring_run_service_enable_recurring_run(
            schedule.id, **self._timeouts(timeout_s)
        )

    def delete_schedule(self, schedule: RemoteSchedule, timeout_s: float) -> None:
        """Delete the RecurringRun."""
        self._client.recurring_runs.recurring_run_service_delete_recurring_run(
            schedule.id, **self._timeouts(timeout_s)
        )

    def _run_values(self, submission: Submission) -> dict[str, Any]:
        """Return the JSON that a Run and a RecurringRun have in common.

        It has pipeline, parameters, root and, if one is set, the service account; a package with
        settings for Kubernetes becomes a pipeline of two parts.

        Raises:
            InputError: The package is for another platform (`check_package`).
        """
        self.check_package(submission)
        package = submission.package
        spec: dict[str, Any] = dict(package.spec)
        if package.platform is not None:
            spec = {"pipeline_spec": spec, "platform_spec": dict(package.platform)}
        values: dict[str, Any] = {
            "pipeline_spec": spec,
            "runtime_config": {
                "parameters": dict(submission.parameters),
                "pipeline_root": self.config.root,
            },
        }
        if self.config.service_account:
            values["service_account"] = self.config.service_account
        return values

    def _request(self, collection: str, name: str, values: dict[str, Any]) -> Request:
        """Return the request that creates `name` in a collection, with its hash as description."""
        digest = request_fingerprint({**values, "display_name": name})
        body = {"display_name": name, "description": to_description(digest), **values}
        return Request(path=f"{_API}/{collection}", body=body, fingerprint=digest)

    def _ensure_experiment(self, timeout_s: float) -> str:
        """Return the id of the experiment; creates it if there is none of its name."""
        experiment = self._find_experiment(timeout_s)
        if experiment is None:
            body = {"display_name": self.config.experiment, **self._namespace()}
            created = self._client.experiments.experiment_service_create_experiment(
                body, **self._timeouts(timeout_s)
            )
            experiment = str(created.experiment_id)
        return experiment

    def _find_experiment(self, timeout_s: float) -> str | None:
        """Return the id of the experiment; None if there is none of its name."""
        page = self._client.experiments.experiment_service_list_experiments(
            **self._namespace(),
            filter=name_filter(self.config.experiment),
            **self._timeouts(timeout_s),
        )
        return next((str(item.experiment_id) for item in page.experiments or ()), None)

    def _timeouts(self, timeout_s: float) -> dict[str, tuple[float, float]]:
        """Return the time-outs of connecting and reading as the generated client takes them."""
        return {"_request_timeout": self.service.timeouts(timeout_s)}

    def _namespace(self) -> dict[str, str]:
        """Return the namespace as arguments; empty for a server without several users."""
        return {"namespace": self.config.namespace} if self.config.namespace else {}

    def _remote_run(self, run: Any) -> RemoteRun:
        """Return a Run of kfp's client as the other platforms' runs are."""
        return RemoteRun(
            name=run.run_id,
            url=f"{self.config.host.rstrip('/')}/#/runs/details/{run.run_id}",
            fingerprint=fingerprint_in(run.description),
        )
