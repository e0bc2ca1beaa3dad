"""A job on Dataflow: one at a time for the same work, and why it failed or is stuck."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from albert_core.errors import InputError, ServiceError, StepFailedError
from albert_core.processes.stops import SAVING_S, longer_grace
from albert_core.progress import ReportProgress, report_message
from components.records.cluster_failures import shorten_reason
from components.records.dataflow_jobs import DataflowJobs, Message
from components.records.dataflow_options import check_dataflow_options
from components.records.dataflow_remedies import find_remedy
from components.service_calls import CallConfig

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

_POLL_S = 5.0
_STARTED_WITHIN_S = 600.0
# Dataflow's messages come late: half a minute after a failure is usual.
_REASON_WITHIN_S = 50.0
_CANCELLED_WITHIN_S = 900.0
# A message may be listed after a later one: how far back each look goes.
_LATE_BY_S = 120.0
_FINAL_STATES = ("done", "failed", "cancelled", "updated", "drained")
_STARTED = ("workers have started", "workers have finished the startup", "receive work requests")


def run_on_dataflow(
    submit: Callable[["PipelineOptions"], str],
    options: "PipelineOptions",
    job_name: str,
    progress: ReportProgress,
    calls: CallConfig | None = None,
) -> None:
    """Run a pipeline on Dataflow, after a job of its name that a killed command left has ended.

    That job is cancelled first. The new job's states, warnings and errors are reported, with
    remedies where they are known. If this process is interrupted, the job is cancelled, as far as
    Dataflow answers, and KeyboardInterrupt raised again; on other errors the job goes on.

    Args:
        submit: Starts the pipeline with options, and returns the id of its job.
        options: Beam's options, changed in place.
        job_name: Its name, by which it is found.
        progress: Called with messages about the job.
        calls: Time-outs and retries of calls to Dataflow; the defaults when None.

    Raises:
        InputError: A setting that it needs is missing or refused, or a job that was left does not
            end.
        ServiceError: Dataflow refused a call, or kept failing.
        StepFailedError: The job failed or was cancelled; the message says why, in a line.
    """
    from apache_beam.options.pipeline_options import StandardOptions

    cloud = check_dataflow_options(options)
    cloud.job_name = job_name
    jobs = DataflowJobs(cloud.project, cloud.region, cloud.dataflow_endpoint, calls)
    _end_left_jobs(jobs, job_name, progress)
    # Else `submit` would return only when the job has ended, and nothing could be reported before.
    options.view_as(StandardOptions).no_wait_until_finish = True
    # Machines that go on working cost, and each call may take its time.
    with longer_grace(lambda: SAVING_S):
        job = ""
        try:
            with _submission_errors(jobs):
                job = submit(options)
            report_message(progress, f"Dataflow job {job}: {jobs.page(job)}")
            _JobWatch(jobs, job, progress).wait()
        except KeyboardInterrupt:
            # By its name where it may have been made without its id being known here; else that
            # would be the job of another command, if this one's had been cancelled.
            with contextlib.suppress(ServiceError):
                for active in [job] if job else jobs.find_active(job_name):
                    jobs.cancel(active)
            raise
        except ServiceError as error:
            if not job:
                raise
            raise ServiceError(
                f"{error}; job {job} goes on without being watched, see {jobs.page(job)}; the same "
                "command cancels it, and goes on from what is done by then"
            ) from error


def _end_left_jobs(jobs: DataflowJobs, name: str, progress: ReportProgress) -> None:
    """Cancel the jobs of a name, and wait for their end.

    Raises:
        InputError: One has not ended after a quarter of an hour.
        ServiceError: Dataflow refused a call, or kept failing.
    """
    left = jobs.find_active(name)
    for job in left:
        report_message(
            progress, f"Dataflow job {job} of the same work, as a killed command leaves it: ends"
        )
        jobs.cancel(job)
    deadline = time.monotonic() + _CANCELLED_WITHIN_S
    while left and (left := jobs.find_active(name)):
        if time.monotonic() > deadline:
            raise InputError(
                f"beam.runner dataflow: job {left[0]} of the same work ({name}) has not ended 15 "
                f"minutes after it was cancelled; end it on {jobs.page(left[0])}, then run again"
            )
        time.sleep(_POLL_S)


@contextlib.contextmanager
def _submission_errors(jobs: DataflowJobs) -> Iterator[None]:
    """Say in a line why a job was not accepted; errors of the body that are bugs pass.

    Raises:
        InputError: Beam refuses the options, or cannot write into the folders that they name.
        ServiceError: Dataflow refused, or kept failing.
        StepFailedError: Another job of that name has just been started.
    """
    from apache_beam.runners.dataflow.internal.apiclient import DataflowJobAlreadyExistsError

    try:
        yield
    except DataflowJobAlreadyExistsError as error:
        raise StepFailedError(
            f"beam.runner dataflow: {error}; another command is doing this work: wait for it"
        ) from error
    except Exception as error:
        if explained := jobs.service.explain("submit the job", error):
            raise explained from error
        # Beam's own checks, and files that it could not stage; other errors are bugs.
        if type(error) in (ValueError, OSError):
            raise InputError(f"beam.runner dataflow: {' '.join(str(error).split())}") from error
        raise


class _JobWatch:
    """Follows one job to its end, and tells what happens to it.

    Args:
        jobs: The jobs of the project and region.
        job: Id of the job.
        progress: Called with its states, warnings and errors.
    """

    def __init__(self, jobs: DataflowJobs, job: str, progress: ReportProgress) -> None:
        """Begin with the job's first message."""
        self.jobs, self.job, self.progress = jobs, job, progress
        self._seen: set[Message] = set()
        self._since_s = 0.0
        self._errors: list[str] = []
        self._has_started = False

    def wait(self) -> None:
        """Wait for the end of the job; tell its states, warnings and errors meanwhile.

        That no worker has started is told once, after ten minutes in which the job was not queued.

        Raises:
            ServiceError: Dataflow refused a call, or kept failing.
            StepFailedError: The job did not succeed.
        """
        shown, is_warned = "", False
        began_s = time.monotonic()
        while (state := self.jobs.state(self.job)) not in _FINAL_STATES:
            if state != shown:
                report_message(self.progress, f"Dataflow job {self.job}: {state.replace('_', ' ')}")
                shown = state
            self._read_messages()
            if state == "queued":  # for machines of a lower price, for hours
                began_s = time.monotonic()
            is_late = time.monotonic() - began_s > _STARTED_WITHIN_S
            if is_late and not (is_warned or self._has_started):
                self._warn_of_start()
                is_warned = True
            time.sleep(_POLL_S)
        self._read_messages()
        if state != "done":
            raise StepFailedError(self._describe_end(state))

    def _read_messages(self) -> None:
        """Read the messages that are new; tell warnings and errors, and note the workers' start.

        Errors are kept for the message of the end.

        Raises:
            ServiceError: Dataflow refused a call, or kept failing.
        """
        for message in self.jobs.messages(self.job, max(0.0, self._since_s - _LATE_BY_S)):
            if message in self._seen:
                continue
            self._seen.add(message)
            self._since_s = max(self._since_s, message.time_s)
            self._has_started |= any(sign in message.text.lower() for sign in _STARTED)
            if message.importance not in ("warning", "error"):
                continue
            if message.importance == "error":
                self._errors.append(message.text)
            text = _with_remedy(shorten_reason(message.text))
            report_message(self.progress, f"Dataflow {message.importance}: {text}")

    def _warn_of_start(self) -> None:
        """Tell that no worker has started in ten minutes, the usual reasons, and where to look."""
        report_message(
            self.progress,
            f"Dataflow job {self.job}: no worker has started in {_STARTED_WITHIN_S / 60:.0f} "
            "minutes; the usual reasons are a quota, an image that cannot be pulled, a network "
            "without a way to Google, and missing roles; look with: "
            f"{self.jobs.startup_log_command(self.job)}; Ctrl-C cancels the job",
        )

    def _describe_end(self, state: str) -> str:
        """Return in a line how a job ended that did not succeed, why, and what to do.

        For a failed job, waits up to 50 seconds for the messages that give the reason, and reports
        warnings and errors among them. If there are several errors, the first of the most
        informative kind is taken.

        Raises:
            ServiceError: Dataflow refused a call, or kept failing.
        """
        page = self.jobs.page(self.job)
        again = "the same command goes on from what is done"
        if state != "failed":
            return f"beam.runner dataflow: job {self.job} was {state}; see {page}; {again}"
        deadline = time.monotonic() + _REASON_WITHIN_S
        while not self._errors and time.monotonic() < deadline:
            time.sleep(_POLL_S)
            self._read_messages()
        reason = shorten_reason(max(self._errors, key=_rank, default="without a message"))
        remedy = find_remedy(reason) or next(filter(None, map(find_remedy, self._errors)), "")
        return (
            f"beam.runner dataflow: job {self.job} failed: {reason}"
            f"{f'; {remedy}' if remedy else ''}; see {page}; {again}"
        )


def _rank(text: str) -> int:
    """Return how much an error tells, 0 to 2: most if it is one of the Python code.

    Least if it says no more than that work was tried in vain, or how often.
    """
    if "Traceback" in text:
        return 2
    return 0 if "work item was attempted" in text or "work item has failed" in text else 1


def _with_remedy(text: str) -> str:
    """Return a message with what to do about it, where that is known."""
    remedy = find_remedy(text)
    return f"{text}; {remedy}" if remedy else text
