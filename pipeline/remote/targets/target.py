"""What both platforms have in common: runs, their states, schedules."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

from albert_core.files import hash_json
from components.service_calls import Service
from pipeline.remote.cron import CronSchedule
from pipeline.remote.package import Package
from pipeline.remote.resources import Resources, TargetName


@dataclasses.dataclass(frozen=True, kw_only=True)
class Submission:
    """A run to start, once or on a schedule.

    Attributes:
        title: Title of the run, also in its report.
        package: The compiled pipeline.
        parameters: The pipeline's parameters.
    """

    title: str
    package: Package
    parameters: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """A request as it is sent.

    Attributes:
        path: What is posted to.
        body: The JSON.
        fingerprint: Hash of the JSON, which the platform keeps: the same work is known again.
    """

    path: str
    body: Mapping[str, Any]
    fingerprint: str


def fingerprint_of(body: Mapping[str, Any]) -> str:
    """Return the hash of a request, short enough for a label."""
    return hash_json(body)[:32]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RemoteRun:
    """A run on a platform.

    Attributes:
        name: The platform's name of it.
        url: Where people look at it.
        fingerprint: Hash of the request that made it; empty if it is not one of ours.
    """

    name: str
    url: str
    fingerprint: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunState:
    """How far a run is.

    Attributes:
        state: In lower case, such as `running`.
        has_ended: Whether nothing more will come.
        has_succeeded: Whether all went well.
        tasks: State by the name of the task, in the order they were created.
        errors: Message by the name of the failed task.
    """

    state: str
    has_ended: bool
    has_succeeded: bool
    tasks: Mapping[str, str]
    errors: Mapping[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RemoteSchedule:
    """A schedule on a platform.

    Attributes:
        id: The platform's name of it.
        name: Ours.
        cron: When it runs, as the platform writes it.
        state: `active`, `paused` or what else the platform says.
        fingerprint: Hash of the request that made it; empty if it is not one of ours.
    """

    id: str
    name: str
    cron: str
    state: str
    fingerprint: str


class Target(Protocol):
    """A platform that runs the pipeline; every method with `timeout_s` makes one call.

    Attributes:
        name: Its name.
        service: How to call it, again where that is right.
    """

    name: TargetName
    service: Service

    @property
    def work_root(self) -> str:
        """Folder of work in progress.

        Raises:
            InputError: The settings do not say.
        """

    def read_resources(self, path: str) -> Resources:
        """Return what the steps get: the platform's defaults, and a file's values over them."""

    def run_request(self, submission: Submission, run_id: str) -> Request:
        """Return the request that starts a run, without sending it."""

    def find_run(self, run_id: str, timeout_s: float) -> RemoteRun | None:
        """Return the run of a name, if there is one."""

    def start_run(self, request: Request, run_id: str, timeout_s: float) -> RemoteRun:
        """Start a run."""

    def run_state(self, run: RemoteRun, timeout_s: float) -> RunState:
        """Tell how far a run is."""

    def schedule_request(
        self, submission: Submission, name: str, schedule: CronSchedule
    ) -> Request:
        """Return the request that creates a schedule, without sending it."""

    def find_schedules(self, name: str | None, timeout_s: float) -> list[RemoteSchedule]:
        """Return the schedules, all or those of a name."""

    def create_schedule(self, request: Request, timeout_s: float) -> RemoteSchedule:
        """Create a schedule."""

    def change_schedule(
        self, schedule: RemoteSchedule, request: Request, timeout_s: float
    ) -> RemoteSchedule:
        """Make a schedule do what another request says; a paused one stays paused.

        Where schedules cannot be changed the answer is a new one, and the old one is still there.
        """

    def pause_schedule(self, schedule: RemoteSchedule, timeout_s: float) -> None:
        """Let a schedule start nothing until it is resumed."""

    def resume_schedule(self, schedule: RemoteSchedule, timeout_s: float) -> None:
        """Let a paused schedule go on; what it missed is not made up for."""

    def delete_schedule(self, schedule: RemoteSchedule, timeout_s: float) -> None:
        """Remove a schedule; its runs stay."""
