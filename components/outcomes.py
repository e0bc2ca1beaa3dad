"""What became of each step of a run on a cluster: small files in the work root, one a try.

They are named after the step's output, which the platform puts into a folder of the run. So they
tell runs apart without a parameter, which would make every run new to the platform's cache.
"""

import contextlib
import dataclasses
import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Literal

from albert_core.settings import parse_settings
from albert_core.storage import find_files, has_files, join, read_bytes, write_bytes

_FOLDER = "outcomes"

State = Literal["started", "finished", "failed"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """One try of a step.

    Attributes:
        step: Name of the step.
        state: What it came to; of one that was killed, `started`.
        output: Address of what it makes.
        started: When it began, in seconds since the epoch.
        seconds: How long it took.
        message: Why it failed.
        log: Command that shows its log, where the platform is known.
    """

    step: str
    state: State
    output: str
    started: float
    seconds: float = 0.0
    message: str = ""
    log: str = ""


@contextlib.contextmanager
def recorded(step: str, *, output: str, work_root: str) -> Iterator[None]:
    """Record what becomes of the body, a try of a step.

    Args:
        step: Name of the step.
        output: Address of what it makes.
        work_root: Folder of work in progress, where the record is kept.
    """
    now = time.time()
    path = join(_folder(work_root, output), f"{now * 1000:.0f}-{os.getpid()}.json")
    outcome = Outcome(step=step, state="started", output=output, started=now, log=_log_command())

    def write(state: State, message: str = "") -> None:
        seconds = round(time.time() - now, 1)
        ended = dataclasses.replace(outcome, state=state, message=message, seconds=seconds)
        write_bytes(path, json.dumps(dataclasses.asdict(ended)).encode())

    write("started")
    try:
        yield
    except BaseException as error:
        write("failed", " ".join(str(error).split()) or type(error).__name__)
        raise
    write("finished")


def read_outcomes(work_root: str, runs: Sequence[str]) -> list[Outcome]:
    """Return the tries of a run's steps, in the order they began.

    Args:
        work_root: Folder of work in progress.
        runs: What the platform may call the run's folder of outputs; the first that there is.
    """
    folder = join(work_root, _FOLDER)
    addresses = [file.path for file in find_files(folder)] if has_files(folder) else []
    of_runs = ([path for path in addresses if run in path.split("/")] for run in runs)
    paths: list[str] = next(filter(None, of_runs), [])
    found = [parse_settings(Outcome, json.loads(read_bytes(path)), source=path) for path in paths]
    return sorted(found, key=lambda outcome: outcome.started)


def _folder(work_root: str, output: str) -> str:
    return join(join(work_root, _FOLDER), output.replace("://", "/").strip("/"))


def _log_command() -> str:
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return f"kubectl logs {socket.gethostname()} --container main"
    if job := os.environ.get("CLOUD_ML_JOB_ID"):  # set by Vertex AI
        return f"gcloud logging read 'resource.labels.job_id=\"{job}\"' --order asc"
    return ""
