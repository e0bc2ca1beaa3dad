"""Weights & Biases: a run for each step, in a group for the run of the pipeline.

With a folder as address nothing is sent: the runs in it are uploaded by `wandb sync`.
"""

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import wandb
from wandb.errors import AuthenticationError, CommError, UsageError

from albert_core.tracking.run import NothingTakenError, Row, Status, TrackedRun
from albert_core.tracking.trackers import is_folder

_STEP = "global_step"
_CONNECT_S = 30
# Of a server that takes nothing at all; the client has the status in the text of its error alone.
_STATUS = re.compile(r"\breturned error (\d{3})\b")
_REMEDIES = {
    "401": "the key was refused: set WANDB_API_KEY to a key of this server",
    "403": "the key's user may not write there: let it, or correct tracking.experiment",
}


class StepRun:
    """A run of Weights & Biases for a step, as `Tracker` has it.

    Nothing is started before `open`.
    """

    def __init__(self, run: TrackedRun) -> None:
        self._run = run
        self._started: Any = None

    def open(self) -> None:
        """Start the run, or go on with it; write parameters and addresses.

        With a folder as address each call begins another folder of the run in it. Sets
        WANDB_BASE_URL for a server. What is sent is also in a temporary folder, which stays.

        Raises:
            NothingTakenError: There is no key, the client finds it wrong, or refuses a setting; or
                the server answers with the status 401 or 403. Other failures are the client's own
                exceptions.
        """
        try:
            self._open()
        except (AuthenticationError, UsageError) as error:
            # The client has one error for a missing key and for settings that are wrong.
            is_key = isinstance(error, AuthenticationError) or "API key" in str(error)
            remedy = "set WANDB_API_KEY to a key of the server" if is_key else "correct the setting"
            raise NothingTakenError(f"{remedy} ({error})") from error
        except CommError as error:
            status = _STATUS.search(str(error))
            if status and status[1] in _REMEDIES:
                answer = f"it answers {status[1]}: {_REMEDIES[status[1]]}"
                raise NothingTakenError(f"{answer} ({error})") from error
            raise

    def _open(self) -> None:
        """Start the run or go on with it, with all failures as the client raises them."""
        run = self._run
        team, _, project = run.experiment.rpartition("/")
        is_offline = is_folder(run.address)
        if run.address and not is_offline:
            os.environ["WANDB_BASE_URL"] = run.address
        self._started = wandb.init(
            entity=team or None,
            project=project,
            # The client keeps what it sends in a folder, and the current one may be anybody's.
            dir=run.address if is_offline else tempfile.mkdtemp(prefix="albert-wandb-"),
            mode="offline" if is_offline else None,
            id=run.key,
            resume=None if is_offline else "allow",
            name=run.step,
            group=run.group_label or None,
            job_type=run.step.split()[0],
            config={**run.parameters, "places": dict(run.places)},
            settings=wandb.Settings(
                silent=True,
                console="off",
                disable_code=True,
                disable_git=True,
                init_timeout=_CONNECT_S,
                # Command line, user and packages of this machine concern nobody who reads curves.
                x_disable_meta=True,
                x_save_requirements=False,
                # Its measurements of the machine would take time from the training's cores.
                x_disable_stats=True,
            ),
        )
        # By the training's steps, not by its own count: a step that goes on repeats some of them.
        self._started.define_metric("*", step_metric=_STEP)

    def log(self, rows: Sequence[Row]) -> None:
        """Write rows, each with its own step and time; they are sent later."""
        for row in rows:
            self._started.log({**row.values, _STEP: row.step, "_timestamp": row.time_s})

    def log_scores(self, scores: Mapping[str, float]) -> None:
        """Write scores to the summary, as `scores/NAME`."""
        self._started.summary.update({f"scores/{name}": value for name, value in scores.items()})

    def close(self, status: Status) -> None:
        """End the run, and wait until all is sent or, in a folder, written.

        A run that failed or was interrupted has the exit code 1 there.
        """
        self._started.finish(exit_code=0 if status == "finished" else 1)
