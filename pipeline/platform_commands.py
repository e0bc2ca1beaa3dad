"""`albert submit` and `albert schedule`; their signatures are the command line."""

import json
from typing import Any, Literal

from albert_core.errors import InputError
from components.resolve.dates import NO_DATE, SCHEDULED_DATE, parse_date, today
from components.service_calls import CallConfig
from pipeline.config import RunConfig
from pipeline.cron import CronSchedule
from pipeline.targets.kubeflow import KubeflowConfig, KubeflowTarget
from pipeline.targets.target import Request, Target
from pipeline.targets.vertex import VertexConfig, VertexTarget

Platform = Literal["kubeflow", "vertex"]


def submit(
    target: Platform,
    kubeflow: KubeflowConfig,
    vertex: VertexConfig,
    calls: CallConfig,
    package: str = "",
    date: str = "",
    run_id: str = "",
    caching: bool = True,
    check_images: bool = True,
    max_cost: float = 0.0,
    accelerator: str = "",
    utilisation: float = 0.4,
    prices: str = "",
    dry_run: bool = False,
    wait: bool = False,
    **settings: Any,
) -> None:
    """Start the pipeline on Kubeflow or Vertex AI, having checked all that can be from here.

    Args:
        target: The platform.
        kubeflow: Kubeflow Pipelines: where, and as whom.
        vertex: Vertex AI: where, and as whom.
        calls: How patient calls to the platform and the registry are.
        package: The compiled pipeline, from `albert compile`.
        date: Date that takes the place of {{ds}} in corpus.files and title, YYYY-MM-DD; today, in
            UTC, if the run needs one.
        run_id: Name of the run; given again, it stands for the same run and starts no other. Title
            and time when empty.
        caching: Whether the platform may take steps that ran before from its cache.
        check_images: Whether the registry is asked for the images; false where only the platform
            reaches it.
        max_cost: Most that pretraining may cost by the estimate, in the currency of the prices; 0
            for no limit.
        accelerator: The slice that the estimate is for, such as v5e-16.
        utilisation: Share of the chips' peak that the estimate takes training to reach.
        prices: YAML file with date, source, currency and per_chip_hour; list prices without it.
        dry_run: Check, print the request and send nothing.
        wait: Watch the run to its end, showing the states of its tasks.
        **settings: The sections of the run's configuration.
    """
    from pipeline import submission
    from pipeline.estimation import CostLimit

    platform = _platform(target, kubeflow, vertex, calls)
    config = RunConfig(**settings)
    prepared = submission.prepare(
        config,
        platform,
        package=package,
        date=parse_date(date or today()) if date or config.is_dated else NO_DATE,
        caching=caching,
        limit=CostLimit(
            max_cost=max_cost, accelerator=accelerator, utilisation=utilisation, prices=prices
        ),
        image_calls=calls if check_images else None,
    )
    run_id = run_id or submission.new_run_id(prepared.title)
    if dry_run:
        _print_request(platform.run_request(prepared, run_id))
        return
    run = submission.submit(platform, prepared, run_id)
    print(f"{run_id}: {run.url}", flush=True)
    if wait:
        submission.watch(platform, run, run_id, show=lambda line: print(line, flush=True))


def create_schedule(
    name: str,
    cron: str,
    target: Platform,
    kubeflow: KubeflowConfig,
    vertex: VertexConfig,
    calls: CallConfig,
    time_zone: str = "UTC",
    package: str = "",
    caching: bool = True,
    check_images: bool = True,
    dry_run: bool = False,
    **settings: Any,
) -> None:
    """Run the pipeline regularly; a schedule of that name is changed to what is given here.

    Args:
        name: Name of the schedule.
        cron: Minute, hour, day of month, month and day of week, such as '0 3 * * 1'.
        target: The platform.
        kubeflow: Kubeflow Pipelines: where, and as whom.
        vertex: Vertex AI: where, and as whom.
        calls: How patient calls to the platform and the registry are.
        time_zone: By whose clock, such as Europe/Rome.
        package: The compiled pipeline, from `albert compile`.
        caching: Whether the platform may take steps that ran before from its cache.
        check_images: Whether the registry is asked for the images; false where only the platform
            reaches it.
        dry_run: Check, print the request and send nothing.
        **settings: The sections of the run's configuration.
    """
    from pipeline import schedules, submission
    from pipeline.estimation import CostLimit

    times = CronSchedule(cron=cron, time_zone=time_zone)
    platform = _platform(target, kubeflow, vertex, calls)
    config = RunConfig(**settings)
    prepared = submission.prepare(
        config,
        platform,
        package=package,
        date=SCHEDULED_DATE[target] if config.is_dated else NO_DATE,
        caching=caching,
        limit=CostLimit(),
        image_calls=calls if check_images else None,
    )
    request = platform.schedule_request(prepared, name, times)
    if dry_run:
        _print_request(request)
        return
    schedule, outcome = schedules.set_schedule(platform, request, name)
    print(f"{name}: {outcome}, {schedule.state}, {schedule.cron}")


def list_schedules(**platform: Any) -> None:
    """List the schedules that this program made.

    Args:
        **platform: The platform, and how to reach it.
    """
    from pipeline import schedules

    for each in schedules.list_schedules(_platform(**platform)):
        print(f"{each.name}  {each.state}  {each.cron}")


def pause_schedule(name: str, **platform: Any) -> None:
    """Let a schedule start nothing until it is resumed; runs at work go on.

    Args:
        name: Name of the schedule.
        **platform: The platform, and how to reach it.
    """
    from pipeline import schedules

    schedules.pause_schedule(_platform(**platform), name)
    print(f"{name}: paused")


def resume_schedule(name: str, **platform: Any) -> None:
    """Let a paused schedule go on; what it missed is not made up for.

    Args:
        name: Name of the schedule.
        **platform: The platform, and how to reach it.
    """
    from pipeline import schedules

    schedules.resume_schedule(_platform(**platform), name)
    print(f"{name}: active")


def delete_schedule(name: str, **platform: Any) -> None:
    """Remove a schedule; its runs stay, and nothing happens where there is none.

    Args:
        name: Name of the schedule.
        **platform: The platform, and how to reach it.
    """
    from pipeline import schedules

    schedules.delete_schedule(_platform(**platform), name)
    print(f"{name}: gone")


def _platform(
    target: Platform, kubeflow: KubeflowConfig, vertex: VertexConfig, calls: CallConfig
) -> Target:
    """Return the platform, refusing settings that are for the other one.

    Args:
        target: The platform.
        kubeflow: Kubeflow Pipelines: where, and as whom.
        vertex: Vertex AI: where, and as whom.
        calls: How patient calls to the platform are.
    """
    other = vertex if target == "kubeflow" else kubeflow
    if other != type(other)():
        name = "vertex" if target == "kubeflow" else "kubeflow"
        raise InputError(f"{name}: got settings of {name} with --target {target}; remove them")
    if target == "kubeflow":
        return KubeflowTarget(kubeflow, calls)
    return VertexTarget(vertex, calls)


def _print_request(request: Request) -> None:
    print(f"POST {request.path}")
    print(json.dumps(request.body, indent=2, ensure_ascii=False))
