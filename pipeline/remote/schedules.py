"""Schedules of a platform, known by their names: creating one twice leaves one."""

from collections.abc import Callable
from typing import Literal

from albert_core.errors import InputError
from components.service_calls import NOT_FOUND, http_status
from pipeline.remote.platforms.platform import Platform, RemoteSchedule, Request

ScheduleChange = Literal["created", "changed", "unchanged"]


def set_schedule(
    platform: Platform, request: Request, name: str
) -> tuple[RemoteSchedule, ScheduleChange]:
    """Make or change the schedule of a name by a request, and delete others of that name.

    A schedule that was made by an equal request stays as it is; else one of the name is changed,
    or a new one is created. All others of the name are deleted, also those that other programs
    made.

    The whole is repeated when a call fails, and each time looks first at what there is, so that a
    call whose answer was lost creates no second schedule. Others of the name are deleted last:
    between the calls there may be two schedules, but never none.

    Args:
        platform: The platform.
        request: What the schedule does, from `platform.schedule_request` with the same name.
        name: Name of the schedule.

    Returns:
        The schedule, and what happened; `changed` also if only others were deleted.

    Raises:
        ServiceError: The platform refused, or kept failing.
    """

    def create_or_change(timeout_s: float) -> tuple[RemoteSchedule, ScheduleChange]:
        """Create the schedule or change an existing one, then delete all others of its name.

        One that an equal request made is kept as it is, else the first one is changed.
        """
        existing = platform.find_schedules(name, timeout_s)
        same = [item for item in existing if item.fingerprint == request.fingerprint]
        change: ScheduleChange
        if same:
            schedule, change = same[0], "unchanged"
        elif existing:
            schedule, change = platform.change_schedule(existing[0], request, timeout_s), "changed"
        else:
            schedule, change = platform.create_schedule(request, timeout_s), "created"
        for item in existing:
            if item.id != schedule.id:
                _delete(platform, item, timeout_s)
                change = "changed"
        return schedule, change

    return platform.service.call(f"create schedule {name}", create_or_change)


def list_schedules(platform: Platform) -> list[RemoteSchedule]:
    """Return the schedules that this program created, sorted by name.

    Raises:
        ServiceError: The platform refused, or kept failing.
    """
    schedules = platform.service.call(
        "list schedules", lambda timeout_s: platform.find_schedules(None, timeout_s)
    )
    return sorted((item for item in schedules if item.fingerprint), key=lambda item: item.name)


def pause_schedule(platform: Platform, name: str) -> None:
    """Stop all schedules of a name from starting runs until they are resumed.

    Running runs go on; paused schedules are left as they are.

    Raises:
        InputError: There is none of that name.
        ServiceError: The platform refused, or kept failing.
    """
    _bring_to_state(platform, name, "paused", platform.pause_schedule)


def resume_schedule(platform: Platform, name: str) -> None:
    """Let all paused schedules of a name start runs again; missed runs are not made up for.

    Raises:
        InputError: There is none of that name.
        ServiceError: The platform refused, or kept failing.
    """
    _bring_to_state(platform, name, "active", platform.resume_schedule)


def delete_schedule(platform: Platform, name: str) -> None:
    """Remove all schedules of a name, whoever made them; nothing happens where there is none.

    Raises:
        ServiceError: The platform refused, or kept failing.
    """

    def delete_all(timeout_s: float) -> None:
        for schedule in platform.find_schedules(name, timeout_s):
            _delete(platform, schedule, timeout_s)

    platform.service.call(f"delete schedule {name}", delete_all)


def _bring_to_state(
    platform: Platform, name: str, state: str, change: Callable[[RemoteSchedule, float], None]
) -> None:
    """Apply a change to every schedule of a name that is not in the wanted state yet.

    Repeated when a call fails.

    Args:
        platform: The platform.
        name: Name of the schedules.
        state: The wanted state, as in `RemoteSchedule.state`.
        change: Brings one schedule to that state within the given seconds.

    Raises:
        InputError: There is none of that name.
        ServiceError: The platform refused, or kept failing.
    """

    def change_all(timeout_s: float) -> None:
        """Change every schedule that needs it; refuse a name without any."""
        schedules = platform.find_schedules(name, timeout_s)
        if not schedules:
            raise InputError(f"schedule {name!r}: there is none; see `albert schedule list`")
        for schedule in schedules:
            if schedule.state != state:
                change(schedule, timeout_s)

    platform.service.call(f"schedule {name} to be {state}", change_all)


def _delete(platform: Platform, schedule: RemoteSchedule, timeout_s: float) -> None:
    """Delete a schedule; one that is gone already counts as deleted.

    The answer of an earlier attempt may have been lost after the work was done. Other errors of
    the client are let through.
    """
    try:
        platform.delete_schedule(schedule, timeout_s)
    except Exception as error:
        if http_status(error) != NOT_FOUND:
            raise
