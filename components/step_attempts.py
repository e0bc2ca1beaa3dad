"""What became of each step of a run on a platform: small files in the work root, one an attempt.

They are named after the step's output, which the platform puts into a folder of the run. That
tells runs apart without a parameter for it, which would differ in every run and keep the platform's
cache from ever skipping a step.
"""

import contextlib
import dataclasses
import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from albert_core.errors import InputError
from albert_core.files.checksums import DamageError, parse_object
from albert_core.settings import parse_settings
from albert_core.storage import find_files, has_files, is_remote, join, read_bytes, write_bytes

_FOLDER = "outcomes"

AttemptState = Literal["started", "finished", "failed"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepAttempt:
    """One attempt of a step.

    Attributes:
        step: Name of the step.
        state: How it ended; `started` if it is at work still, or was killed.
        output: Address of the step's output.
        started: When it began, in seconds since the epoch.
        seconds: How long it took; 0 in the state `started`.
        message: Why it failed, in one line; empty unless it did.
        log: Command that shows its log; empty where the platform is not known.
    """

    step: str
    state: AttemptState
    output: str
    started: float
    seconds: float = 0.0
    message: str = ""
    log: str = ""


@contextlib.contextmanager
def record_attempt(step: str, *, output: str, work_root: str) -> Iterator[None]:
    """Record that an attempt of a step began, and how the body of the `with` statement ended.

    Both records are one file, which the second replaces. It is written before the body, too, so
    that the run's summary can tell a step that was killed from one that never began. Whatever the
    body raises, KeyboardInterrupt and SystemExit included, is recorded as a failure and raised
    again.

    Args:
        step: Name of the step.
        output: Address of the step's output.
        work_root: Folder of work in progress, where the record is kept.

    Raises:
        InputError: The record cannot be written; at the beginning the body is not run then.
        ServiceError: The storage failed; at the beginning the body is not run then, either.
    """
    started = time.time()
    # In nanoseconds: two attempts in one process may begin within a millisecond.
    name = f"{time.time_ns()}-{os.getpid()}.json"
    path = join(_folder(work_root, output), name)
    attempt = StepAttempt(
        step=step, state="started", output=output, started=started, log=_log_command()
    )

    def write(state: AttemptState, message: str = "") -> None:
        """Write the record with this state and the seconds so far; replaces the one before."""
        seconds = round(time.time() - started, 1)
        values = dataclasses.replace(attempt, state=state, message=message, seconds=seconds)
        write_bytes(path, json.dumps(dataclasses.asdict(values)).encode())

    write("started")
    try:
        yield
    except BaseException as error:
        write("failed", " ".join(str(error).split()) or type(error).__name__)
        raise
    write("finished")


def read_attempts(
    work_root: str, runs: Sequence[str], *, unreadable: list[str] | None = None
) -> list[StepAttempt]:
    """Return the attempts of a run's steps, in the order they began; empty if none is recorded.

    Args:
        work_root: Folder of work in progress.
        runs: Names that the folder of the run's outputs may have on the platform, none of them
            empty. The first that is a folder in the address of any step's output counts, the others
            are ignored: on Kubeflow the second is the pipeline's name, which all its runs have in
            common.
        unreadable: A list, to which a line about each record that cannot be used is added; by
            default the first raises.

    Raises:
        InputError: A record is no JSON, or has other fields than `StepAttempt`, and `unreadable` is
            None; or the folder must not be read.
        ServiceError: The storage failed.
    """
    folder = join(work_root, _FOLDER)
    if not is_remote(folder):
        folder = str(Path(folder).absolute())  # as `find_files` returns what is in it
    addresses = [file.path for file in find_files(folder)] if has_files(folder) else []
    by_run = (
        [path for path in addresses if run in path.removeprefix(folder).split("/")] for run in runs
    )
    paths: list[str] = next(filter(None, by_run), [])
    attempts = []
    for path in paths:
        try:
            attempts.append(_read_attempt(path))
        except InputError as error:
            if unreadable is None:
                raise
            unreadable.append(str(error))
    return sorted(attempts, key=lambda attempt: attempt.started)


def _read_attempt(path: str) -> StepAttempt:
    """Return the attempt in a record.

    Raises:
        InputError: The record is no JSON, or has other fields than `StepAttempt`.
        ServiceError: The storage failed.
    """
    try:
        values = parse_object(read_bytes(path))
    except DamageError as error:
        raise InputError(
            f"{path}: damaged ({error}), expected the record of a step's attempt; remove it"
        ) from error
    return parse_settings(StepAttempt, values, source=path)


def _folder(work_root: str, output: str) -> str:
    """Return the address of the folder, below `work_root`, with the attempts of this output."""
    return join(join(work_root, _FOLDER), output.replace("://", "/").strip("/"))


def _log_command() -> str:
    """Return the command that shows this process's log in Kubernetes or on Vertex AI.

    Empty elsewhere. The platform is told by its environment variables.
    """
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return f"kubectl logs {socket.gethostname()} --container main"
    if job := os.environ.get("CLOUD_ML_JOB_ID"):  # set by Vertex AI
        return f"gcloud logging read 'resource.labels.job_id=\"{job}\"' --order asc"
    return ""
