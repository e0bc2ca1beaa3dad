"""A step as it is tracked: parameters when it begins, rows while it trains, scores at the end."""

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from albert_core.artifacts.manifest import code_version
from albert_core.errors import StoppedError
from albert_core.files.checksums import DamageError, read_sealed, report_damage, write_sealed
from albert_core.progress import ReportProgress, report_message
from albert_core.storage import is_remote
from albert_core.tracking.client import TrackingClient
from albert_core.tracking.config import FOLDER_NAME, TrackingConfig, step_group
from albert_core.tracking.run import Row, Status, TrackedRun, flat_settings, numbers_of
from albert_core.tracking.trackers import TRACKERS

RUN_FILE = "tracked-run.json"
"""File of the work in progress with the run's key."""

TrackRow = Callable[[int, Mapping[str, Any]], None]
"""Called with the steps done and values by name, of which the numbers count."""


def untracked(step: int, values: Mapping[str, Any]) -> None:
    """Ignore a row: the `TrackRow` of trainings that nobody tracks."""


class StepTracker:
    """The tracking of a step; it never waits, fails or changes the step.

    Args:
        client: The tracker's run; None if the step is not tracked.
    """

    def __init__(self, client: TrackingClient | None) -> None:
        self._client = client

    def log_row(self, step: int, values: Mapping[str, Any]) -> None:
        """Track the numbers among values at a step of training, at the time of the call.

        Truth values and `global_step` are no such numbers.

        Args:
            step: Steps done.
            values: Values by name.
        """
        if self._client:
            row = Row(step=step, time_s=time.time(), values=numbers_of(values))
            self._client.log(row)

    def log_scores(self, scores: Mapping[str, Any]) -> None:
        """Track the numbers among the step's final metrics."""
        if self._client:
            self._client.log_scores(numbers_of(scores))


@contextlib.contextmanager
def tracked_step(
    config: TrackingConfig,
    *,
    step: str,
    settings: Mapping[str, Any],
    places: Mapping[str, Any],
    output: str | Path,
    folder: Path,
    work: str,
    progress: ReportProgress,
    is_chief: bool = True,
) -> Iterator[StepTracker]:
    """Track a step while the body runs, if it is to be tracked.

    The run's key is kept in the work in progress, so that whoever goes on with a killed step goes
    on with its tracked run. At the end the tracker has some seconds for what is queued, and is told
    whether the body finished, failed, or was stopped; what the body raises is raised again.

    Args:
        config: Where it is tracked; where these settings are off, those in this process's
            environment count.
        step: Name of the step, such as `finetune cola`.
        settings: Its settings; they become the run's parameters.
        places: Addresses of what it reads, by their names; several by a sequence.
        output: Address of what it makes.
        folder: Folder of its work in progress, which exists; the key is written in it, if the step
            is tracked.
        work: What is worked at; the key of other work is not taken up.
        progress: Called with messages about what goes wrong.
        is_chief: Whether this process tracks; if several train together, one of them does.

    Yields:
        What the body tells.

    Raises:
        InputError: The environment holds settings or an address that cannot be used.
    """
    config = config.or_from_environment()
    if not (config.is_on and is_chief):
        yield StepTracker(None)
        return
    output = str(output) if is_remote(output) else str(Path(output).absolute())
    beside = None if is_remote(output) else Path(output).parent / FOLDER_NAME
    run = TrackedRun(
        key=_run_key(folder, work),
        step=step,
        address=config.resolved_address(beside),
        experiment=config.experiment,
        group=step_group(config, step=step, output=output),
        group_name=config.run,
        parameters={**flat_settings(settings), "code_version": code_version()},
        places={**{name: _address(place) for name, place in places.items()}, "output": output},
    )
    title = " at ".join(filter(None, (TRACKERS[config.to].title, run.address)))
    client = TrackingClient(
        config.to, run, title=title, warn=lambda text: report_message(progress, f"warning: {text}")
    )
    status: Status = "interrupted"
    try:
        yield StepTracker(client)
        status = "finished"
    except StoppedError:  # by a signal, and to be continued
        raise
    except Exception:
        status = "failed"
        raise
    finally:
        client.close(status)


def _run_key(folder: Path, work: str) -> str:
    """Return the key in the work in progress; a new one is written there if it has none.

    A damaged one, or that of other work, is named on standard error and replaced.
    """
    path = folder / RUN_FILE
    if path.exists():
        try:
            return str(read_sealed(path, work=work)["key"])
        except (DamageError, KeyError) as error:
            report_damage(path, error, "a new tracked run begins")
    key = uuid.uuid4().hex[:16]
    write_sealed(path, {"key": key}, work=work)
    return key


def _address(place: Any) -> str:
    """Return a place, or several, as text: absolute where they are on this machine."""
    if isinstance(place, str | Path):
        return str(place) if is_remote(place) else str(Path(place).absolute())
    return ", ".join(map(_address, place))
