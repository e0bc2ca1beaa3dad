"""MLflow: a run for each step, below a parent run for the run of the pipeline.

Runs are found by tags: none of their ids is known to other steps.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException, RestException, get_error_code
from mlflow.utils import rest_utils
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from albert_core.tracking.run import NothingTakenError, RefusedError, Row, Status, TrackedRun
from albert_core.tracking.trackers import is_folder

_KEY_TAG, _GROUP_TAG = "albert.key", "albert.run"
_PLACE_TAG = "albert.{}"
_STATUSES = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
_REFUSED = (400, 404, 405, 422)
# Of a server that takes nothing at all; of others the status says only what is wrong with a call.
_REMEDIES = {
    401: "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
    403: "let this user edit the experiment",
}
_OTHER_CHARACTERS = re.compile(r"[^\w. /-]")
# Least limits of servers still at work.
_MAX_METRICS, _MAX_PARAMS, _MAX_TEXT = 1000, 100, 500


class StepRun:
    """A run of MLflow for a step, as `Tracker` has it; no server is called before `open`."""

    def __init__(self, run: TrackedRun) -> None:
        self._run = run
        address = f"file://{run.address}" if is_folder(run.address) else run.address
        self._client = MlflowClient(tracking_uri=address or None)
        self._run_id = self._parent_id = ""

    def open(self) -> None:
        """Find the experiment, parent run and run, or make them; write parameters and addresses.

        A run with the step's key is gone on with, and marked as running; parameters it has stay.

        Raises:
            RefusedError: The server answered with the status 400, 404, 405 or 422, and would again;
                with 401 or 403 it is a NothingTakenError. Any other failure is the client's own
                exception.
        """
        _call(self._open)

    def _open(self) -> None:
        """Find or make the experiment, parent run and run, in this order; write what they have.

        A run that is found becomes RUNNING and keeps its parameters; new ones are added.
        """
        experiment_id = self._find_experiment()
        if self._run.group:
            self._parent_id = self._find_parent(experiment_id)
        runs = self._search(experiment_id, _KEY_TAG, self._run.key)
        if runs:
            self._run_id = runs[0].info.run_id
            self._client.update_run(self._run_id, status="RUNNING")
        else:
            tags = {_KEY_TAG: self._run.key, "albert.step": self._run.step}
            if self._parent_id:
                tags[MLFLOW_PARENT_RUN_ID] = self._parent_id
            created = self._client.create_run(experiment_id, tags=tags, run_name=self._run.step)
            self._run_id = created.info.run_id
        # Also of a run that was found: who made it may have come no further. But what it has stays,
        # such as the version of the code that began it: MLflow refuses to change a parameter.
        existing_params = runs[0].data.params if runs else {}
        named = {_name(name): value for name, value in self._run.parameters.items()}
        params = [
            Param(name, str(value)[:_MAX_TEXT])
            for name, value in named.items()
            if name not in existing_params
        ]
        for begin in range(0, len(params), _MAX_PARAMS):
            self._client.log_batch(self._run_id, params=params[begin : begin + _MAX_PARAMS])
        places = [RunTag(_PLACE_TAG.format(n), place) for n, place in self._run.places.items()]
        self._client.log_batch(self._run_id, tags=places)

    def log(self, rows: Sequence[Row]) -> None:
        """Write rows as metrics, each at its own step and time, up to 1,000 values a call.

        `open` must have succeeded. After a failure the values of the calls before it are written.

        Raises:
            RefusedError: The server answered with the status 400, 404, 405 or 422, and would again;
                with 401 or 403 it is a NothingTakenError. Any other failure is the client's own
                exception.
        """
        metrics = [
            Metric(_name(name), value, round(row.time_s * 1000), row.step)
            for row in rows
            for name, value in row.values.items()
        ]
        _call(lambda: self._log_metrics(self._run_id, metrics))

    def log_scores(self, scores: Mapping[str, float]) -> None:
        """Write scores as metrics `scores/NAME`, then to the parent run, if any, as `STEP/NAME`.

        Raises:
            RefusedError: The server answered with the status 400, 404, 405 or 422, and would again;
                with 401 or 403 it is a NothingTakenError. Any other failure is the client's own
                exception.
        """
        now = round(time.time() * 1000)

        def metrics(prefix: str) -> list[Metric]:
            return [Metric(_name(f"{prefix}/{n}"), value, now, 0) for n, value in scores.items()]

        _call(lambda: self._log_metrics(self._run_id, metrics("scores")))
        if self._parent_id:
            _call(lambda: self._log_metrics(self._parent_id, metrics(self._run.step)))

    def close(self, status: Status) -> None:
        """Mark the run as ended, with its status; the parent run stays as it is.

        Raises:
            RefusedError: The server answered with the status 400, 404, 405 or 422, and would again;
                with 401 or 403 it is a NothingTakenError. Any other failure is the client's own
                exception.
        """
        _call(lambda: self._client.set_terminated(self._run_id, status=_STATUSES[status]))

    def _log_metrics(self, run_id: str, metrics: Sequence[Metric]) -> None:
        for begin in range(0, len(metrics), _MAX_METRICS):
            self._client.log_batch(run_id, metrics=metrics[begin : begin + _MAX_METRICS])

    def _find_experiment(self) -> str:
        """Return the id of the experiment; make it if it is missing."""
        name = self._run.experiment
        if experiment := self._client.get_experiment_by_name(name):
            return experiment.experiment_id
        try:
            return self._client.create_experiment(name)
        except MlflowException:
            # Another step may have made it meanwhile.
            if experiment := self._client.get_experiment_by_name(name):
                return experiment.experiment_id
            raise

    def _find_parent(self, experiment_id: str) -> str:
        """Return the id of the pipeline's run, the parent of the steps'; make it if it is missing.

        It is no process, and counts as finished from the beginning. If several steps make one at
        the same time, all take the first.
        """
        group, name = self._run.group, self._run.group_name
        if parents := self._search(experiment_id, _GROUP_TAG, group):
            return parents[0].info.run_id
        tags = {_GROUP_TAG: _searchable(group)}
        created = self._client.create_run(experiment_id, tags=tags, run_name=name or group)
        self._client.set_terminated(created.info.run_id)
        first = self._search(experiment_id, _GROUP_TAG, group)[0].info.run_id
        if first != created.info.run_id:
            self._client.delete_run(created.info.run_id)
        return first

    def _search(self, experiment_id: str, tag: str, value: str) -> list[Any]:
        """Return the runs with a tag, the oldest first."""
        runs = self._client.search_runs([experiment_id], f"tags.`{tag}` = '{_searchable(value)}'")
        return sorted(runs, key=lambda run: (run.info.start_time, run.info.run_id))


def _searchable(value: str) -> str:
    """Return a tag's value without the quotes, which a search cannot have."""
    return value.replace("'", "")


def _name(name: str) -> str:
    """Return a name of a metric or parameter with what MLflow does not take replaced."""
    return _OTHER_CHARACTERS.sub("_", name)


def _keep_status(verify: Callable[..., Any]) -> Callable[..., Any]:
    """Return the client's check of answers, for which JSON of others has its HTTP status, too.

    The client reads the status from `error_code` in the JSON alone. A proxy's has none, and a
    refusal of its would count as the status 500, an outage.

    Args:
        verify: The client's `verify_rest_response`.
    """

    def verify_with_status(response: Any, *args: Any, **options: Any) -> Any:
        """Check an answer; an error has the answer's status and body if MLflow did not write it."""
        try:
            return verify(response, *args, **options)
        except RestException as error:
            if "error_code" in error.json:
                raise
            raise MlflowException(
                f"status {response.status_code}, with JSON that is not MLflow's: {response.text}",
                error_code=get_error_code(response.status_code),
            ) from error

    return verify_with_status


rest_utils.verify_rest_response = _keep_status(rest_utils.verify_rest_response)


def _call(function: Callable[[], None]) -> None:
    """Call a function of the client; other failures than those below pass as they are.

    Raises:
        RefusedError: The server answered with the status 400, 404, 405 or 422, and would again.
        NothingTakenError: It answered with the status 401 or 403.
    """
    try:
        function()
    except MlflowException as error:
        status = error.get_http_status_code()
        if status in _REMEDIES:
            raise NothingTakenError(
                f"it answers {status}: {_REMEDIES[status]} ({error})"
            ) from error
        if status in _REFUSED:
            raise RefusedError(str(error)) from error
        raise
