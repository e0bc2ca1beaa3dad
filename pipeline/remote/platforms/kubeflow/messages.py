"""What kfp's client takes and returns, from and to what all platforms have in common."""

import json
import re
from typing import Any

from albert_core.errors import InputError
from pipeline.remote.cron import CronSchedule
from pipeline.remote.platforms.platform import RemoteSchedule

_REQUEST_HASH = re.compile(r"albert request ([0-9a-f]+)")


def to_description(request_hash: str) -> str:
    """Return the description of a run or schedule, which holds the hash of its request."""
    return f"albert request {request_hash}"


def to_cron(schedule: CronSchedule, server_time_zone: str) -> str:
    """Return a schedule as Kubeflow writes it: six fields, seconds first, by the server's clock.

    Args:
        schedule: The schedule.
        server_time_zone: Time zone of the cluster's scheduler, one for all schedules.

    Raises:
        InputError: The schedule is by another clock.
    """
    if schedule.time_zone != server_time_zone:
        raise InputError(
            f"time_zone: got {schedule.time_zone}, expected {server_time_zone}, by which the "
            "Kubeflow server schedules; give the times in that zone, or set "
            "CRON_SCHEDULE_TIMEZONE of its scheduled-workflow controller and name it in "
            "kubeflow.time_zone"
        )
    return f"0 {schedule.fields}"


def to_remote_schedule(recurring: Any) -> RemoteSchedule:
    """Return a RecurringRun of kfp's client as the other platforms' schedules are.

    Its state is `active` or `paused`, by its status or, while it has none, by its mode. `cron` is
    empty if it runs by other rules than cron.
    """
    status = recurring.status or f"{recurring.mode}D"
    return RemoteSchedule(
        id=recurring.recurring_run_id,
        name=recurring.display_name,
        cron=recurring.trigger.cron_schedule.cron if recurring.trigger.cron_schedule else "",
        state="active" if status == "ENABLED" else "paused",
        fingerprint=fingerprint_in(recurring.description),
    )


def fingerprint_in(description: str | None) -> str:
    """Return the hash of a request from a description; empty if another program wrote it."""
    match = _REQUEST_HASH.search(description or "")
    return match[1] if match else ""


def name_filter(name: str) -> str:
    """Return the API's filter for this exact display name, as JSON."""
    predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
    return json.dumps({"predicates": [predicate]})
