"""Where runs are tracked: settings that no result depends on, and no fingerprint holds.

Like the settings of buckets they live in environment variables, so that the steps of a run have
them without a parameter: a parameter would be in the keys of kfp's caches, and turning tracking on
would repeat every step.
"""

import dataclasses
import json
import os
from pathlib import Path

from albert_core.errors import InputError
from albert_core.settings import parse_settings
from albert_core.storage import is_remote
from albert_core.tracking.trackers import (
    TRACKERS,
    TrackerName,
    check_address,
    check_experiment,
    is_folder,
    refuse_missing_package,
)

TRACKING_VARIABLE = "ALBERT_TRACKING"
GROUP_VARIABLE = "ALBERT_TRACKING_GROUP"
GROUP_OF_OUTPUT = "of-output"
"""Group of steps on a platform: the id of their run, which is in the addresses of their outputs."""

FOLDER_NAME = "tracking"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrackingConfig:
    """Where runs are tracked.

    A setting that the tracker does not take, or any without a tracker, is refused with an
    InputError.

    Attributes:
        to: The tracker: tensorboard, mlflow, wandb or vertex; none for no tracking.
        address: Its server, or a folder: for mlflow http://HOST:PORT, for wandb a server of one's
            company or a folder for runs that are uploaded later, for vertex
            projects/PROJECT/locations/LOCATION. When empty MLFLOW_TRACKING_URI or WANDB_BASE_URL;
            without these wandb.ai, and for tensorboard and mlflow the folder `tracking` of the run,
            or beside a step's output. Keys and passwords are read from the environment.
        experiment: What it puts runs into: experiment, for wandb PROJECT or TEAM/PROJECT.
        run: Name of the run that the steps belong to; if empty, a whole run has its title.
    """

    to: TrackerName = "none"
    address: str = ""
    experiment: str = "albert"
    run: str = ""

    def __post_init__(self) -> None:
        """Refuse what the tracker does not take, and settings without a tracker.

        Raises:
            InputError: A setting is none the tracker takes, or is given without a tracker.
        """
        if self.is_on:
            check_address(self.to, self.address)
            check_experiment(self.to, self.experiment)
            return
        for field in dataclasses.fields(self):
            if getattr(self, field.name) != field.default:
                raise InputError(
                    f"tracking.{field.name}: got {getattr(self, field.name)} without a tracker, "
                    f"expected tracking.to, too: {', '.join(TRACKERS)}"
                )

    @property
    def is_on(self) -> bool:
        """Whether anything is tracked."""
        return self.to != "none"

    @classmethod
    def from_environment(cls) -> "TrackingConfig":
        """Return the settings in this process's environment; the defaults, no tracking, if none.

        They are JSON in the variable `TRACKING_VARIABLE`.

        Raises:
            InputError: That is not JSON, or holds impossible settings.
        """
        text = os.environ.get(TRACKING_VARIABLE)
        if not text:
            return cls()
        try:
            values = json.loads(text)
        except ValueError as error:
            raise InputError(f"{TRACKING_VARIABLE}: got {text!r}, expected JSON") from error
        return parse_settings(cls, values, source=TRACKING_VARIABLE)

    def or_from_environment(self) -> "TrackingConfig":
        """Return these settings, or where these are off those of `from_environment`.

        Raises:
            InputError: These are off, and those in the environment are impossible.
        """
        return self if self.is_on else self.from_environment()

    def environment(self, group: str) -> dict[str, str]:
        """Return environment variables by which the steps of a run have these settings.

        Empty where nothing is tracked.

        Args:
            group: Id of the run, or `GROUP_OF_OUTPUT`.
        """
        if not self.is_on:
            return {}
        values = json.dumps(dataclasses.asdict(self), ensure_ascii=False)
        return {TRACKING_VARIABLE: values, GROUP_VARIABLE: group}

    def for_run(self, title: str, folder: Path | None) -> "TrackingConfig":
        """Return the settings for the steps of a run, with its name and an absolute address.

        A name or address that is set stays. Unchanged where nothing is tracked.

        Args:
            title: Title of the run.
            folder: The run's folder; None on a platform.

        Raises:
            InputError: The environment holds an address that the tracker does not take, or a
                password in it.
        """
        if not self.is_on:
            return self
        address = self.resolved_address(None if folder is None else folder / FOLDER_NAME)
        return dataclasses.replace(self, run=self.run or title, address=address)

    def resolved_address(self, folder: Path | None) -> str:
        """Return the address: the given one, that of the environment, or a folder.

        Something must be tracked (`is_on`, not checked). Folders are absolute, since steps have
        other current folders. Empty where no address is given and the client knows one itself, the
        tracker takes no folders, or `folder` is None.

        Args:
            folder: What is taken where nothing else is given; None: nothing.

        Raises:
            InputError: The environment holds an address that the tracker does not take, or a
                password in it.
        """
        kind = TRACKERS[self.to]
        address = self.address
        if not address and kind.address_variable:
            address = os.environ.get(kind.address_variable, "")
            check_address(self.to, address, setting=kind.address_variable)
        if not address and kind.takes_folders and not kind.has_default and folder is not None:
            address = str(folder)
        return os.path.abspath(address) if is_folder(address) and kind.takes_folders else address

    def check_here(self, *, output: str) -> None:
        """Refuse a tracker that cannot be used by steps on this machine; asks no server.

        Args:
            output: Output of the step, or folder of the run.

        Raises:
            InputError: Its client is not installed, it has no address, or the environment holds one
                that it does not take.
        """
        if not self.is_on:
            return
        refuse_missing_package(self.to)
        folder = None if is_remote(output) else Path(output)
        self._refuse_missing_address(self.resolved_address(folder))

    def check_elsewhere(self, where: str) -> None:
        """Refuse a tracker in a folder of this machine for steps that run elsewhere.

        Args:
            where: Where they run, for the message.

        Raises:
            InputError: The tracker writes to a folder, it has no address, or the environment holds
                one that it does not take.
        """
        if not self.is_on:
            return
        kind, address = TRACKERS[self.to], self.resolved_address(None)
        if not kind.schemes and kind.takes_folders:
            raise InputError(
                f"tracking.to: got {self.to}, which writes into a folder, for steps on {where}; "
                "expected another tracker; what pretraining makes has TensorBoard's files in any "
                "case"
            )
        self._refuse_missing_address(address)
        if is_folder(address) and kind.takes_folders:
            raise InputError(
                f"tracking.address: got the folder {address}, expected a server that steps on "
                f"{where} reach"
            )

    def check_containers(self, folder: Path) -> None:
        """Refuse a tracker that containers without network, which write to one folder, cannot use.

        Args:
            folder: The run's folder, which is theirs.

        Raises:
            InputError: The tracker is a server, or writes to a folder elsewhere; or the environment
                holds an address that it does not take.
        """
        if not self.is_on:
            return
        address = self.resolved_address(folder / FOLDER_NAME)
        if not is_folder(address) or not Path(address).is_relative_to(folder):
            raise InputError(
                f"tracking.address: got {address or TRACKERS[self.to].title} with runner docker, "
                "whose containers have no network and write into the run's folder only; expected a "
                f"folder in {folder}, or --runner process"
            )

    def _refuse_missing_address(self, address: str) -> None:
        """Refuse an empty address for a tracker that needs one.

        Raises:
            InputError: The address is empty, and the tracker's client knows none itself.
        """
        kind = TRACKERS[self.to]
        if not address and not kind.has_default:
            variable = f" (or {kind.address_variable})" if kind.address_variable else ""
            raise InputError(f"tracking.address: got nothing, expected{variable} {kind.example}")


NO_TRACKING = TrackingConfig()


def step_group(config: TrackingConfig, *, step: str, output: str) -> str:
    """Return the id of the pipeline's run that a step of this process belongs to.

    That of the environment (`GROUP_VARIABLE`); on a platform the part of the output's address
    before that of the step, which is the run's. For a single command, without that variable, or
    where the address has no such part, it is `tracking.run`, which may be empty.

    Args:
        config: The settings.
        step: Name of the step, such as `finetune cola`.
        output: Address of its output.
    """
    group = os.environ.get(GROUP_VARIABLE, "")
    if group != GROUP_OF_OUTPUT:
        return group or config.run
    parts = output.rstrip("/").split("/")
    kind = step.split()[0]
    # From the end, and without the artifact's own name: folders above may be called anything.
    for index in range(len(parts) - 2, 0, -1):
        if parts[index].startswith(kind):
            return parts[index - 1]
    return config.run
