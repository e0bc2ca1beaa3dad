"""What a tracker is told of a step: its run, rows of values, scores. Imports no client."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

Scalar = str | float | int | bool
Status = Literal["finished", "failed", "interrupted"]
"""How a step ended."""

_STEP_NAME = "global_step"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """A step of a pipeline as a run of a tracker.

    Attributes:
        key: Id of this run, kept with the step's work in progress: who goes on with that work goes
            on with this run. Letters and digits.
        step: Name of the step, such as `finetune cola`.
        address: Where the tracker is: a server, a folder or a project; empty for the tracker's
            default.
        experiment: Name of what the tracker puts runs into.
        group: Id of the run of the pipeline that the step belongs to; empty for a step alone.
        group_name: Name of that run for people.
        parameters: Settings of the step by dotted names.
        places: Addresses of what the step reads and makes, by their names.
    """

    key: str
    step: str
    address: str
    experiment: str
    group: str = ""
    group_name: str = ""
    parameters: Mapping[str, Scalar] = dataclasses.field(default_factory=dict)
    places: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def group_label(self) -> str:
        """Name of the pipeline's run that no other has; empty for a step alone."""
        if self.group in ("", self.group_name):
            return self.group
        return f"{self.group_name} {self.group}".strip()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """Values of a training at a step.

    Attributes:
        step: Steps done.
        time_s: When they were measured, in seconds since 1970.
        values: Numbers by name.
    """

    step: int
    time_s: float
    values: Mapping[str, float]


class Tracker(Protocol):
    """A tracker's run; `open` must have succeeded before the other methods are called.

    Each method may be called again after it failed, with the same arguments. It raises RefusedError
    where another call of it would be refused, too, or what its client raises.
    """

    def open(self) -> None:
        """Find or make the run, and write its parameters and places."""

    def log(self, rows: Sequence[Row]) -> None:
        """Write rows, the oldest first."""

    def log_scores(self, scores: Mapping[str, float]) -> None:
        """Write the final metrics of the step."""

    def close(self, status: Status) -> None:
        """Mark the run as ended, and wait until the tracker has everything."""


class RefusedError(Exception):
    """A tracker refused a call, and would refuse it again."""


class NothingTakenError(RefusedError):
    """A tracker refuses all calls until something is set up anew; the message says what.

    Such as a wrong key, a missing permission, or a project that does not exist.
    """


def flat_settings(values: Mapping[str, Any], prefix: str = "") -> dict[str, Scalar]:
    """Return nested settings by dotted names; lists become JSON, and None is left out.

    Args:
        values: Plain values by name.
        prefix: Dotted name of the section they are in, with a dot at the end; empty at the top.
    """
    flat: dict[str, Scalar] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flat_settings(value, f"{prefix}{name}.")
        elif isinstance(value, str | float | int | bool):
            flat[f"{prefix}{name}"] = value
        elif value is not None:
            flat[f"{prefix}{name}"] = json.dumps(value, default=str)
    return flat


def numbers_of(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers among values, as floats, without truth values and `global_step`.

    NaN and infinity are among them.
    """
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name != _STEP_NAME
    }


def finite(values: Mapping[str, float]) -> dict[str, float]:
    """Return the values that are neither infinite nor NaN, for trackers that take no others."""
    return {name: value for name, value in values.items() if math.isfinite(value)}
