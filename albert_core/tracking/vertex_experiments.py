"""Vertex Experiments: a run for each step, with its curves in Vertex TensorBoard."""

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform
from google.cloud.aiplatform_v1.types import Execution
from google.protobuf.timestamp_pb2 import Timestamp

from albert_core.errors import ServiceError
from albert_core.object_storage.google.client import find_credentials
from albert_core.tracking.run import (
    NothingTakenError,
    RefusedError,
    Row,
    Status,
    TrackedRun,
    finite,
)
from albert_core.tracking.trackers import VERTEX_ADDRESS

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_MAX_NAME = 120  # characters of experiment and run together
_STATES = {
    "finished": Execution.State.COMPLETE,
    "failed": Execution.State.FAILED,
    "interrupted": Execution.State.CANCELLED,
}
_REFUSALS = (exceptions.InvalidArgument, exceptions.BadRequest)
_REMEDIES = {
    exceptions.Unauthorized: (401, "log in with `gcloud auth application-default login`"),
    exceptions.Forbidden: (403, "give this account the role roles/aiplatform.user"),
    exceptions.NotFound: (404, "correct project and location, or give the run another experiment"),
}


class StepRun:
    """A run of Vertex Experiments for a step, as `Tracker` has it.

    Nothing is called before `open`.
    """

    def __init__(self, run: TrackedRun) -> None:
        self._run = run
        self._started: Any = None

    def open(self) -> None:
        """Find the experiment and run, or make them; write parameters and addresses.

        A run that is there is marked as running. Parameters that are not text become floats. Sets
        the client's project, location, experiment, endpoint and credentials for the whole process.

        Raises:
            RefusedError: Vertex AI found an argument invalid (status 400), and would again.
            NothingTakenError: It answered 401, 403 or 404. Other failures of the client pass.
            ServiceError: There are no credentials, or not yet.
            InputError: The credentials cannot be read.
        """
        _call(self._open)

    def _open(self) -> None:
        """Log in, find or make the run, then write parameters and addresses.

        A run that is there is marked as running. Addresses become parameters `place.NAME`. All
        failures of the client pass as they are.

        Raises:
            ServiceError: There are no credentials, or not yet.
            InputError: The credentials cannot be read.
        """
        run = self._run
        match = VERTEX_ADDRESS.fullmatch(run.address)
        assert match
        endpoint = (match["endpoint"] or "").rstrip("/")
        aiplatform.init(
            project=match["project"],
            location=match["location"],
            experiment=run.experiment,
            credentials=_credentials(endpoint),
            api_endpoint=endpoint or None,
            api_transport="rest",
        )
        name = _run_name(run)
        try:
            self._started = aiplatform.ExperimentRun(name, experiment=run.experiment)
            self._started.update_state(Execution.State.RUNNING)
        except exceptions.NotFound:
            self._started = aiplatform.ExperimentRun.create(name, experiment=run.experiment)
        places = {f"place.{name}": place for name, place in run.places.items()}
        parameters: Mapping[str, Any] = {"run": run.group_label, **run.parameters, **places}
        self._started.log_params(
            {
                n: value if isinstance(value, str) else float(value)
                for n, value in parameters.items()
            }
        )

    def log(self, rows: Sequence[Row]) -> None:
        """Write the finite values of rows as time series, in a call for each row.

        Each row is written at its own step and time. `open` must have succeeded.

        Raises:
            RefusedError: Vertex AI found an argument invalid (status 400), and would again.
            NothingTakenError: It answered 401, 403 or 404, such as for a run that was removed.
                Other failures of the client pass.
        """
        _call(lambda: self._log_rows(rows))

    def _log_rows(self, rows: Sequence[Row]) -> None:
        """Write the finite values of each row in a call of its own, at the row's step and time."""
        for row in rows:
            time = Timestamp()
            time.FromDatetime(datetime.datetime.fromtimestamp(row.time_s, datetime.UTC))
            values = finite(row.values)
            self._started.log_time_series_metrics(values, step=row.step, wall_time=time)

    def log_scores(self, scores: Mapping[str, float]) -> None:
        """Write finite scores as the run's metrics; others are left out.

        Raises:
            RefusedError: Vertex AI found an argument invalid (status 400), and would again.
            NothingTakenError: It answered 401, 403 or 404, such as for a run that was removed.
                Other failures of the client pass.
        """
        _call(lambda: self._started.log_metrics(finite(scores)))

    def close(self, status: Status) -> None:
        """Mark the run as complete, failed or, where it was interrupted, cancelled.

        Raises:
            RefusedError: Vertex AI found an argument invalid (status 400), and would again.
            NothingTakenError: It answered 401, 403 or 404, such as for a run that was removed.
                Other failures of the client pass.
        """
        _call(lambda: self._started.update_state(_STATES[status]))


def _run_name(run: TrackedRun) -> str:
    """Return an id of the run: its group's name and its step, then its key, joined by dashes.

    Name and step are in lower case, with dashes for all but letters and digits, and cut so that the
    id and the experiment's name have at most 119 characters together. The key stays as it is.
    """
    text = f"{run.group_name} {run.step}".lower()
    slug = re.sub(r"[^a-z0-9]+", "-", text).strip("-")
    room = _MAX_NAME - len(run.experiment) - len(run.key) - 2
    return f"{slug[:room].strip('-')}-{run.key}".lstrip("-")


def _credentials(endpoint: str) -> Any:
    """Return the credentials: anonymous ones for a server that is reached by plain http.

    Raises:
        ServiceError: There are no credentials, or none yet, as in a new pod.
        InputError: They cannot be read.
    """
    if endpoint.startswith("http://"):
        return AnonymousCredentials()
    credentials = find_credentials((_SCOPE,))
    if credentials is None:
        raise ServiceError("no Google credentials")
    return credentials


def _call(function: Callable[[], None]) -> None:
    """Call a function of the client.

    Raises:
        RefusedError: Vertex AI found an argument invalid (status 400), and would again.
        NothingTakenError: It answered 401, 403 or 404. Other failures of the client pass as they
            are.
    """
    try:
        function()
    except tuple(_REMEDIES) as error:
        status, remedy = next(known for kind, known in _REMEDIES.items() if isinstance(error, kind))
        raise NothingTakenError(f"it answers {status}: {remedy} ({error})") from error
    except _REFUSALS as error:
        raise RefusedError(str(error)) from error
