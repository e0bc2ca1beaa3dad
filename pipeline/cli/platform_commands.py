"""`albert submit` and `albert schedule`; their signatures are the command line."""

import json
from typing import Any

from albert_core.errors import InputError
from components.service_calls import CallConfig
from pipeline.config import RunConfig
from pipeline.estimation import CostLimit, read_prices
from pipeline.remote.cron import CronSchedule
from pipeline.remote.platforms.platform import Platform, Request, Submission
from pipeline.remote.platforms.registry import connect, connect_for_run


def submit(
    *,
    resources: str = "",
    package: str = "",
    date: str = "",
    run_id: str = "",
    caching: bool = False,
    check_images: bool = True,
    max_cost: float = 0.0,
    utilisation: float = 0.4,
    prices: str = "",
    dry_run: bool = False,
    wait: bool = False,
    **settings: Any,
) -> None:
    """Start the pipeline on Kubeflow or Vertex AI, after checking all that can be checked here.

    ALBERT_REGISTRY is the registry that holds the images.

    Args:
        resources: YAML file with what steps get, where it is not the default: machines,
            accelerators, retries, timeouts.
        package: A pipeline that `albert compile` wrote, in place of --config and --resources.
        date: Date that takes the place of {{ds}}, YYYY-MM-DD; today, in UTC, if the run needs one.
        run_id: Name of the run; given again, it stands for the same run and starts no other. Title
            and time when empty.
        caching: Let the platform skip steps it has seen with these inputs.
        check_images: Whether the registry is asked for the images; false where only the platform
            reaches it.
        max_cost: Most that pretraining on TPUs may cost by the estimate, in the currency of the
            prices; 0 for no limit. Fine-tuning and all other steps are not counted.
        utilisation: Fraction of the chips' peak that the estimate of `max_cost` takes training to
            reach.
        prices: YAML file with date, source, currency and per_chip_hour, for `max_cost` and
            `dry_run`; list prices without it.
        dry_run: Check, print the request, then on standard error the table of what it will run,
            and send nothing.
        wait: Watch the run to its end, showing the states of its tasks.
        **settings: The platform, how to reach it, and the sections of the run's configuration.
    """
    from pipeline.remote import submission

    limit = CostLimit(max_cost=max_cost, utilisation=utilisation, prices=prices)
    _refuse_unused_prices(limit, dry_run=dry_run)
    platform, config = connect_for_run(**settings)
    prepared = _prepare(
        platform,
        config,
        package=package,
        resources=resources,
        image_calls=platform.service.config if check_images else None,
        caching=caching,
        limit=limit,
    )
    prepared = submission.with_run_date(prepared, date, platform)
    run_id = run_id or submission.new_run_id(prepared.title)
    if dry_run:
        _print_request(platform.run_request(prepared, run_id), prepared, prices)
        return
    platform.check_server(runs_pipeline=True)
    run = submission.submit(platform, prepared, run_id)
    print(f"{run_id}: {run.url}", flush=True)
    if wait:
        submission.watch(platform, run, run_id, show=lambda line: print(line, flush=True))


def create_schedule(
    *,
    name: str,
    cron: str,
    time_zone: str = "UTC",
    resources: str = "",
    package: str = "",
    check_images: bool = True,
    max_cost: float = 0.0,
    utilisation: float = 0.4,
    prices: str = "",
    dry_run: bool = False,
    **settings: Any,
) -> None:
    """Run the pipeline regularly; a schedule of that name is changed to these settings.

    If several schedules have the name, one of them is kept. A paused one stays paused.
    ALBERT_REGISTRY is the registry that holds the images.

    Args:
        name: Name of the schedule.
        cron: Minute, hour, day of month, month and day of week, such as '0 3 * * 1'.
        time_zone: By whose clock, such as Europe/Rome; on Kubeflow only `kubeflow.time_zone`.
        resources: YAML file with what steps get, where it is not the default.
        package: A pipeline that `albert compile` wrote, in place of --config and --resources.
        check_images: Whether the registry is asked for the images; false where only the platform
            reaches it.
        max_cost: Most that pretraining on TPUs may cost in each run by the estimate, in the
            currency of the prices; 0 for no limit. Fine-tuning and all other steps are not counted.
        utilisation: Fraction of the chips' peak that the estimate of `max_cost` takes training to
            reach.
        prices: YAML file with date, source, currency and per_chip_hour, for `max_cost` and
            `dry_run`; list prices without it.
        dry_run: Check, print the request, then on standard error the table of what it will run,
            and send nothing.
        **settings: The platform, how to reach it, and the sections of the run's configuration.
    """
    from pipeline.remote import schedules

    times = CronSchedule(cron=cron, time_zone=time_zone)
    limit = CostLimit(max_cost=max_cost, utilisation=utilisation, prices=prices)
    _refuse_unused_prices(limit, dry_run=dry_run)
    platform, config = connect_for_run(**settings)
    prepared = _prepare(
        platform,
        config,
        package=package,
        resources=resources,
        image_calls=platform.service.config if check_images else None,
        caching=False,  # it would go by hashes of today's inputs
        limit=limit,
    )
    request = platform.schedule_request(prepared, name, times)
    if dry_run:
        _print_request(request, prepared, prices)
        return
    platform.check_server(runs_pipeline=True)
    schedule, outcome = schedules.set_schedule(platform, request, name)
    print(f"{name}: {outcome}, {schedule.state}, {schedule.cron}")


def list_schedules(**platform: Any) -> None:
    """List the schedules that this program made.

    Args:
        **platform: The platform, and how to reach it.
    """
    from pipeline.remote import schedules

    for schedule in schedules.list_schedules(_connect_to_schedules(**platform)):
        print(f"{schedule.name}  {schedule.state}  {schedule.cron}")


def pause_schedule(*, name: str, **platform: Any) -> None:
    """Pause a schedule: it starts no runs until it is resumed; running ones go on.

    Args:
        name: Name of the schedule.
        **platform: The platform, and how to reach it.
    """
    from pipeline.remote import schedules

    schedules.pause_schedule(_connect_to_schedules(**platform), name)
    print(f"{name}: paused")


def resume_schedule(*, name: str, **platform: Any) -> None:
    """Resume a paused schedule; runs that it missed are not made up for.

    Args:
        name: Name of the schedule.
        **platform: The platform, and how to reach it.
    """
    from pipeline.remote import schedules

    schedules.resume_schedule(_connect_to_schedules(**platform), name)
    print(f"{name}: active")


def delete_schedule(*, name: str, **platform: Any) -> None:
    """Remove a schedule; its runs stay, and nothing happens where there is none.

    Args:
        name: Name of the schedule.
        **platform: The platform, and how to reach it.
    """
    from pipeline.remote import schedules

    schedules.delete_schedule(_connect_to_schedules(**platform), name)
    print(f"{name}: gone")


def _connect_to_schedules(**settings: Any) -> Platform:
    """Return the platform of the schedules, once its server is accepted (`check_server`).

    Args:
        **settings: The platform, and how to reach it.

    Raises:
        InputError: For the reasons of `connect`; or another server answers.
        ServiceError: The server was asked, and did not answer.
    """
    platform = connect(**settings)
    platform.check_server(runs_pipeline=False)
    return platform


def _prepare(
    platform: Platform,
    config: RunConfig,
    *,
    package: str,
    resources: str,
    image_calls: CallConfig | None,
    caching: bool,
    limit: CostLimit,
) -> Submission:
    """Compile and check a configuration, or check a compiled pipeline; return what to submit.

    Args:
        platform: The platform.
        config: The run; must be the default where a compiled pipeline is given.
        package: File of a compiled pipeline; empty: the configuration is compiled.
        resources: YAML file with what steps get, where it is not the default.
        image_calls: Time-outs and retries of calls to the registry; None to leave the images
            unchecked.
        caching: Whether the platform may skip steps it has seen with these inputs.
        limit: The most that pretraining may cost.

    Raises:
        InputError: A compiled pipeline is given together with settings of a run, caching or a
            cost limit; or something is missing, wrong, too large or too expensive.
        ServiceError: A registry or a storage failed.
    """
    from pipeline.remote import submission

    if not package:
        return submission.prepare(
            config,
            platform,
            resources=resources,
            caching=caching,
            limit=limit,
            image_calls=image_calls,
        )
    if config != RunConfig() or resources or caching or limit.max_cost:
        raise InputError(
            "--package: got it with settings of a run (--config, --resources, --caching, "
            "--max_cost or others), expected one of both: a compiled pipeline has its own"
        )
    return submission.prepare_package(package, platform, image_calls=image_calls)


def _refuse_unused_prices(limit: CostLimit, *, dry_run: bool) -> None:
    """Refuse a file of prices that neither a limit of the cost nor the table of a dry run reads.

    Raises:
        InputError: There is such a file.
    """
    if limit.prices and not (limit.max_cost or dry_run):
        raise InputError(
            f"--prices: got {limit.prices} without --max_cost or --dry_run, which show or compare "
            "prices; add one of them, or remove it"
        )


def _print_request(request: Request, submission: Submission, prices: str) -> None:
    """Print a request's path and its body as JSON; then, on standard error, what it will run.

    Args:
        request: The request.
        submission: What it submits.
        prices: YAML file of prices; empty for the list prices.

    Raises:
        InputError: The file of prices is missing or wrong; nothing is printed then.
        ServiceError: Its storage failed.
    """
    from pipeline.cli.plan_display import print_plan

    table = read_prices(prices)
    print(f"POST {request.path}")
    print(json.dumps(request.body, indent=2, ensure_ascii=False), flush=True)
    print_plan(submission.package, table, to_stderr=True)
