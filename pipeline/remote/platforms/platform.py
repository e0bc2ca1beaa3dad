"""What the platforms have in common when they are called: runs, their states, schedules."""

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from albert_core.errors import InputError
from albert_core.files.atomic import hash_json
from components.service_calls import CallConfig, Service
from pipeline.remote.cron import CronSchedule
from pipeline.remote.package import Package
from pipeline.remote.platforms.rules import PlatformRules
from pipeline.remote.resources import Resources, read_resources


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
        path: Path of the API that the request is posted to.
        body: The JSON.
        fingerprint: Hash of the JSON, which the platform keeps beside it, so that a repeated
            command recognises its own run or schedule.
    """

    path: str
    body: Mapping[str, Any]
    fingerprint: str


def request_fingerprint(body: Mapping[str, Any]) -> str:
    """Return a hash of a request: 32 characters, short enough for a label (at most 63)."""
    return hash_json(body)[:32]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RemoteRun:
    """A run on a platform.

    Attributes:
        name: The platform's name for it.
        url: Its page.
        fingerprint: Hash of the request that made it; empty if another program made it.
    """

    name: str
    url: str
    fingerprint: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunState:
    """The state of a run and of its tasks.

    Attributes:
        state: In lower case, such as `running`.
        has_ended: Whether the state is final.
        has_succeeded: Whether the run ended well.
        tasks: State by the name of the task, in the order of the platform's answer; if several
            tasks have one name, as in a loop, the state of the last.
        errors: Message by the name of the failed task, likewise; the message of the run itself is
            under `the run`.
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
        id: The platform's name for it.
        name: The name that it was created with.
        cron: When it runs, as the platform writes it.
        state: `active`, `paused` or what else the platform says.
        fingerprint: Hash of the request that made it; empty if another program made it.
    """

    id: str
    name: str
    cron: str
    state: str
    fingerprint: str


class Platform(abc.ABC):
    """A platform that runs the pipeline.

    Methods with `timeout_s` make one call, or a few that may each take that long, and let the
    client's exceptions through; `service.call` repeats them and explains what went wrong.

    Attributes:
        rules: What the platform accepts of a compiled pipeline.
        service: How to call it.
    """

    rules: ClassVar[PlatformRules]
    service: Service

    @abc.abstractmethod
    def __init__(self, config: Any, calls: CallConfig) -> None:
        """Prepare to call the platform, without calling it.

        Args:
            config: Where the platform is, and as whom to call it.
            calls: Time-outs and retries of calls to it.

        Raises:
            InputError: A setting is missing.
        """

    @property
    @abc.abstractmethod
    def work_root(self) -> str:
        """Address of the folder of work in progress.

        Raises:
            InputError: The settings do not name it.
        """

    def read_resources(self, path: str) -> Resources:
        """Return the resources of the steps: the platform's defaults, with a file's values on top.

        Args:
            path: YAML file with what differs, by step; empty for the defaults.

        Raises:
            InputError: The file is missing, or a value in it is wrong.
            ServiceError: The storage failed.
        """
        return read_resources(self.rules, path)

    def complete_package(self, package: Package) -> Package:
        """Return a compiled pipeline with what the platform's settings add to it; here nothing."""
        return package

    def check_package(self, submission: Submission) -> None:
        """Refuse a package that says it is for another platform.

        Raises:
            InputError: It does.
        """
        target = submission.package.target
        if target not in ("", self.rules.title):
            raise self.wrong_platform(submission, target)

    def wrong_platform(self, submission: Submission, target: str) -> InputError:
        """Return the error about a package for another platform, whose title is `target`."""
        return InputError(
            f"{submission.package.source}: compiled for {target}, expected a package for "
            f"{self.rules.title}: `albert compile --target {self.rules.name}`"
        )

    def check_server(self, *, runs_pipeline: bool) -> None:  # noqa: B027
        """Refuse a server that is not the one of the settings; this default accepts any server.

        Args:
            runs_pipeline: Whether it is to run the pipeline, and must be able to.

        Raises:
            InputError: What answers is no such server, or cannot run the pipeline.
            ServiceError: It was not reached, refused the call, or kept failing.
        """

    @abc.abstractmethod
    def run_request(self, submission: Submission, run_id: str) -> Request:
        """Return the request that starts a run, without sending it.

        Raises:
            InputError: The platform does not accept the run's name or the package.
        """

    @abc.abstractmethod
    def find_run(self, run_id: str, timeout_s: float) -> RemoteRun | None:
        """Return the run of a name, which may have ended; None if there is none."""

    @abc.abstractmethod
    def start_run(self, request: Request, run_id: str, timeout_s: float) -> RemoteRun:
        """Start a run by a request of `run_request`, without checking if its name is in use."""

    @abc.abstractmethod
    def run_state(self, run: RemoteRun, timeout_s: float) -> RunState:
        """Return the state of a run and of its tasks."""

    @abc.abstractmethod
    def schedule_request(
        self, submission: Submission, name: str, schedule: CronSchedule
    ) -> Request:
        """Return the request that creates a schedule, without sending it.

        Args:
            submission: What each run is.
            name: Name of the schedule.
            schedule: When it runs.

        Raises:
            InputError: The platform cannot run at such times, or does not accept the package.
        """

    @abc.abstractmethod
    def find_schedules(self, name: str | None, timeout_s: float) -> list[RemoteSchedule]:
        """Return the schedules of a name, or all; those of other programs are included."""

    @abc.abstractmethod
    def create_schedule(self, request: Request, timeout_s: float) -> RemoteSchedule:
        """Create a schedule by a request of `schedule_request`, even if its name is in use."""

    @abc.abstractmethod
    def change_schedule(
        self, schedule: RemoteSchedule, request: Request, timeout_s: float
    ) -> RemoteSchedule:
        """Change a schedule to another request; a paused one stays paused.

        Where schedules cannot be changed a new one is created and returned, and the old one is left
        for the caller to delete.
        """

    @abc.abstractmethod
    def pause_schedule(self, schedule: RemoteSchedule, timeout_s: float) -> None:
        """Stop a schedule from starting runs until it is resumed."""

    @abc.abstractmethod
    def resume_schedule(self, schedule: RemoteSchedule, timeout_s: float) -> None:
        """Let a paused schedule start runs again; runs that it missed are not made up for."""

    @abc.abstractmethod
    def delete_schedule(self, schedule: RemoteSchedule, timeout_s: float) -> None:
        """Remove a schedule; its runs stay."""
