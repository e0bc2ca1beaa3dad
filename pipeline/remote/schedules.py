"""Schedules of a platform, known by their names: making one twice leaves one."""

from collections.abc import Callable
from typing import Literal

from albert_core.errors import InputError
from components.service_calls import NOT_FOUND, status_of
from pipeline.remote.targets.target import RemoteSchedule, Request, Target

Outcome = Literal["created", "changed", "unchanged"]


def set_schedule(target: Target, request: Request, name: str) -> tuple[RemoteSchedule, Outcome]:
    """Leave exactly one schedule of a name, which does what the request says.

    Raises:
        ServiceError: The platform refused, or kept failing.
    """

    def attempt(timeout_s: float) -> tuple[RemoteSchedule, Outcome]:
        found = target.find_schedules(name, timeout_s)
        same = [each for each in found if each.fingerprint == request.fingerprint]
        outcome: Outcome
        if same:
            kept, outcome = same[0], "unchanged"
        elif found:
            kept, outcome = target.change_schedule(found[0], request, timeout_s), "changed"
        else:
            kept, outcome = target.create_schedule(request, timeout_s), "created"
        for each in found:
            if each.id != kept.id:
                _delete(target, each, timeout_s)
                outcome = "changed"
        return kept, outcome

    return target.service.call(f"create schedule {name}", attempt)


def list_schedules(target: Target) -> list[RemoteSchedule]:
    """Return the schedules that this program made, by name."""
    found = target.service.call(
        "list schedules", lambda timeout_s: target.find_schedules(None, timeout_s)
    )
    return sorted((each for each in found if each.fingerprint), key=lambda each: each.name)


def pause_schedule(target: Target, name: str) -> None:
    """Let a schedule start nothing until it is resumed.

    Raises:
        InputError: There is none of that name.
    """
    _bring_to(target, name, "paused", target.pause_schedule)


def resume_schedule(target: Target, name: str) -> None:
    """Let a paused schedule go on.

    Raises:
        InputError: There is none of that name.
    """
    _bring_to(target, name, "active", target.resume_schedule)


def delete_schedule(target: Target, name: str) -> None:
    """Remove a schedule; nothing happens where there is none.

    Raises:
        ServiceError: The platform refused, or kept failing.
    """

    def attempt(timeout_s: float) -> None:
        for each in target.find_schedules(name, timeout_s):
            _delete(target, each, timeout_s)

    target.service.call(f"delete schedule {name}", attempt)


def _bring_to(
    target: Target, name: str, state: str, change: Callable[[RemoteSchedule, float], None]
) -> None:
    def attempt(timeout_s: float) -> None:
        found = target.find_schedules(name, timeout_s)
        if not found:
            raise InputError(f"schedule {name!r}: there is none; see `albert schedule list`")
        for each in found:
            if each.state != state:
                change(each, timeout_s)

    target.service.call(f"schedule {name} to be {state}", attempt)


def _delete(target: Target, schedule: RemoteSchedule, timeout_s: float) -> None:
    try:
        target.delete_schedule(schedule, timeout_s)
    except Exception as error:
        if status_of(error) != NOT_FOUND:  # an earlier attempt arrived
            raise
