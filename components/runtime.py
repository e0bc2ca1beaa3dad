"""The surroundings of a step in its process: log file, events, and its end with the run's."""

import contextlib
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from albert_core.errors import InputError
from albert_core.files.locks import LOCK_NAME, is_locked
from albert_core.processes.library_logs import quiet_libraries
from albert_core.processes.machine import num_usable_cores
from albert_core.processes.stops import answered_stops
from albert_core.processes.unused_imports import skip_unused_imports
from albert_core.progress import ReportProgress, append_event, to_events, to_stderr
from components.step_attempts import record_attempt

RUN_FOLDER_VARIABLE = "ALBERT_RUN_FOLDER"
RUN_ID_VARIABLE = "ALBERT_RUN_ID"
RUN_WORKERS_VARIABLE = "ALBERT_RUN_WORKERS"
EVENTS_NAME = "events.jsonl"


def log_path(run_folder: Path, step: str) -> Path:
    """Return the file that a step of a local run logs to; spaces in the name become `-`."""
    return run_folder / "logs" / f"{step.replace(' ', '-')}.log"


@contextlib.contextmanager
def step_process(
    step: str, *, output: str, work_root: str, shares_machine: bool = False
) -> Iterator[ReportProgress]:
    """Run a component's body as a step: set up its log, progress and the record of its outcome.

    In a local run (the environment has RUN_FOLDER_VARIABLE; it must then have RUN_ID_VARIABLE, and
    RUN_WORKERS_VARIABLE if `shares_machine`) standard output and error of the whole process go to
    the step's log file from now on, progress and outcome go to the run's events, and a thread exits
    the process with status 1 once the run has ended. Anywhere else, as on a cluster, progress is
    plain lines on standard error, and the outcome is recorded below `work_root` for the run's
    summary. An error of the body is recorded and raised again; in a local run its traceback is
    printed and its frames are cleared, and KeyboardInterrupt and SystemExit are not recorded.
    SIGTERM and Ctrl-C end the process, as `answered_stops` does, with status 143 or 130.

    Args:
        step: Name of the step.
        output: Address of what the step makes; not used in a local run.
        work_root: Folder of work in progress; not used in a local run.
        shares_machine: Whether a local run has several such steps at work at a time. TensorFlow
            then uses a part of the cores in each, by TF_NUM_INTRAOP_THREADS unless that is set;
            this must precede its import. Without effect elsewhere.

    Yields:
        The function to report progress with.
    """
    skip_unused_imports()
    quiet_libraries()
    with (
        answered_stops(ends_process=True),
        _recorded_step(
            step, output=output, work_root=work_root, shares_machine=shares_machine
        ) as progress,
    ):
        yield progress


@contextlib.contextmanager
def _recorded_step(
    step: str, *, output: str, work_root: str, shares_machine: bool
) -> Iterator[ReportProgress]:
    """Set up log, progress and the record of a step's outcome, as `step_process` says.

    Signals are not answered here.
    """
    if RUN_FOLDER_VARIABLE not in os.environ:
        with record_attempt(step, output=output, work_root=work_root):
            yield to_stderr(step, every_s=30.0)
        return
    run_folder = Path(os.environ[RUN_FOLDER_VARIABLE])
    if shares_machine:
        threads = num_usable_cores() // int(os.environ[RUN_WORKERS_VARIABLE])
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(max(1, threads)))
    _exit_when_run_ends(run_folder / LOCK_NAME, os.environ[RUN_ID_VARIABLE])
    _redirect_output(log_path(run_folder, step))
    events = run_folder / EVENTS_NAME
    append_event(events, step=step, event="started")
    try:
        yield to_events(events, step)
    except Exception as error:
        traceback.print_exc()
        append_event(
            events,
            step=step,
            event="failed",
            message=" ".join(str(error).split()) or type(error).__name__,
            is_bad_input=isinstance(error, InputError),
        )
        clear_frames(error)
        raise
    append_event(events, step=step, event="finished")


def clear_frames(error: BaseException | None) -> None:
    """Delete the local variables of all functions that an error and its causes came through.

    Functions that have not ended yet keep theirs. None does nothing.

    A reader of TensorFlow's calls Python from its own threads. One that still exists when the
    interpreter shuts down can wait for Python for ever, and the process for it.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _exit_when_run_ends(lock: Path, run_id: str) -> None:
    """Start a thread that exits this process with status 1 when the run has ended or was killed.

    It looks twice a second and exits without clean-up. A run whose folder was deleted has ended.

    Args:
        lock: File that the run has locked.
        run_id: What the file holds as long as that run is the last one.
    """

    def watch() -> None:
        """Wait until the run is at work no more, then exit."""
        while _is_at_work(lock, run_id):
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="watch of the run").start()


def _is_at_work(lock: Path, run_id: str) -> bool:
    """Return whether a run still holds the lock of its folder.

    False if there is no such file, since the run's folder was deleted; if it names another run,
    which has taken the lock since; or if nobody holds the lock. On file systems without locks the
    name alone counts. The run's process is not looked for: a container has other process ids, but
    the same locks.
    """
    with contextlib.suppress(FileNotFoundError):
        return lock.read_text(encoding="utf-8") == run_id and is_locked(lock) is not False
    return False


def _redirect_output(path: Path) -> None:
    """Append standard output and error of this process to a file until it ends.

    By descriptor, so that libraries in C++ and child processes write there, too. Makes the file's
    folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    with path.open("a", encoding="utf-8") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
