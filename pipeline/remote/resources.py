"""What all steps get on a platform: defaults, which a YAML file overrides in part."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from albert_core.errors import InputError
from albert_core.settings import parse_settings, plain_values
from components.steps import STEPS, Step
from pipeline.config_files import read_as_written
from pipeline.remote.platforms.rules import PlatformRules
from pipeline.remote.step_resources import CustomJobSettings, StepResources

_PARALLEL_TASKS = 4
_ALL_STEPS = "all_steps"
_NO_JOB_SETTINGS = CustomJobSettings()
_EMAIL = re.compile(r"[^@\s,;]+@[^@\s,;]+\.[^@\s,;.]+")

# A file without its section of all steps: a section for each step, and the settings of all.
_ResourcesFile: Any = dataclasses.make_dataclass(
    "ResourcesFile",
    [
        *((name, StepResources) for name in STEPS),
        ("parallel_tasks", int),
        ("custom_job", CustomJobSettings),
        ("notification_emails", tuple[str, ...]),
    ],
    frozen=True,
    kw_only=True,
)
# With it.
_WholeFile = dataclasses.make_dataclass(
    "WholeFile", [(_ALL_STEPS, StepResources)], bases=(_ResourcesFile,), frozen=True, kw_only=True
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resources:
    """The resources of all steps on a platform.

    What a step cannot have, on any platform or on this one, raises InputError.

    Attributes:
        platform: The platform.
        steps: What each step of the table of steps gets, by its name.
        parallel_tasks: How many tasks are fine-tuned and evaluated at a time.
        custom_job: The jobs of steps on TPUs, on a platform that uses these in jobs.
        notification_emails: Who is told by e-mail how a run ended, on a platform that does so.
    """

    platform: PlatformRules
    steps: Mapping[str, StepResources]
    parallel_tasks: int = _PARALLEL_TASKS
    custom_job: CustomJobSettings = dataclasses.field(default_factory=CustomJobSettings)
    notification_emails: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what a step cannot have, on any platform or on this one.

        Raises:
            InputError: A step's values are refused, `parallel_tasks` is below 1, or `custom_job`
                has settings without a step on TPUs in a job; or there is e-mail that cannot be
                sent.
        """
        for name, resources in self.steps.items():
            resources.check(STEPS[name])
            self.platform.check_resources(name, resources)
        if self.parallel_tasks < 1:
            raise InputError(f"parallel_tasks: got {self.parallel_tasks}, expected 1 or more")
        if self.custom_job != _NO_JOB_SETTINGS and not self.uses_custom_job:
            raise InputError(
                "custom_job: got settings, expected none: it is of steps on TPUs on Vertex AI"
            )
        self._check_emails()

    def _check_emails(self) -> None:
        """Refuse what is no address of e-mail, and any on a platform that sends none.

        Raises:
            InputError: The platform sends no e-mail, or a text is no address.
        """
        emails = self.notification_emails
        if emails and not self.platform.sends_email:
            raise InputError(
                f"notification_emails: got {', '.join(emails)}, expected none: "
                f"{self.platform.title} sends no e-mail; remove it"
            )
        for email in emails:
            if not _EMAIL.fullmatch(email):
                raise InputError(
                    f"notification_emails: got {email!r}, expected addresses such as "
                    "team@example.org"
                )

    @property
    def pretrain(self) -> StepResources:
        """The resources of pretraining."""
        return self.steps["pretrain"]

    def with_environment(self, environment: Mapping[str, str]) -> "Resources":
        """Return the same with environment variables of all steps added; a step's own win."""
        steps = {
            name: dataclasses.replace(step, env={**environment, **step.env})
            for name, step in self.steps.items()
        }
        return dataclasses.replace(self, steps=steps)

    @property
    def uses_custom_job(self) -> bool:
        """Whether any step is a job outside the pipeline."""
        has_tpus = any(step.tpu for step in self.steps.values())
        return self.platform.uses_tpus_in_custom_jobs and has_tpus


def default_resources(platform: PlatformRules) -> Resources:
    """Return the steps' default resources: small machines, and four TPU chips for pretraining."""
    steps = {name: platform.default_resources(step) for name, step in STEPS.items()}
    return Resources(platform=platform, steps=steps)


def read_resources(
    platform: PlatformRules, path: str = "", *, custom_job: CustomJobSettings = _NO_JOB_SETTINGS
) -> Resources:
    """Return the defaults of a platform, overridden by the values of a file.

    Args:
        platform: The platform.
        path: YAML file with what differs, by step; `null` removes a value. What its section
            `all_steps` says holds for each step that does not say otherwise. Empty: the defaults.
        custom_job: The settings of jobs on TPUs that the file does not set; labels of both are
            taken. Ignored where no step has such a job.

    Raises:
        InputError: The file is missing, or a step, a setting or a value in it is wrong.
        ServiceError: The storage failed.
    """
    changes = read_as_written(path, _WholeFile, option="--resources") if path else {}
    resources = _parse(platform, path, dict(changes)) if path else default_resources(platform)
    if not resources.uses_custom_job:
        return resources
    merged = _merge(dataclasses.asdict(custom_job), changes.get("custom_job", {}))
    source = f"--resources {path}: custom_job"
    # A section that is null removes all of them.
    settings = parse_settings(CustomJobSettings, plain_values(merged) or {}, source=source)
    return dataclasses.replace(resources, custom_job=settings)


def _parse(platform: PlatformRules, path: str, changes: dict[str, Any]) -> Resources:
    """Return the defaults of a platform, overridden by the settings of a file.

    Args:
        platform: The platform.
        path: The file, for messages.
        changes: What it holds, by step; its section of all steps is removed.

    Raises:
        InputError: A step, a setting or a value is wrong.
    """
    if "target" in changes:
        raise InputError(f"--resources {path}: got target, expected it as --target")
    for_all = changes.pop(_ALL_STEPS, None) or {}
    if not isinstance(for_all, Mapping):
        raise InputError(f"--resources {path}: got {for_all!r} as {_ALL_STEPS}, expected settings")
    values = {
        **{
            step.name: _merge(_step_defaults(platform, step, for_all, changes), for_all)
            for step in STEPS.values()
        },
        "parallel_tasks": _PARALLEL_TASKS,
        "custom_job": dataclasses.asdict(_NO_JOB_SETTINGS),
        "notification_emails": (),
    }
    merged = plain_values(_merge(values, changes))
    parsed = parse_settings(_ResourcesFile, merged, source=f"--resources {path}")
    try:
        return Resources(
            platform=platform,
            steps={name: getattr(parsed, name) for name in STEPS},
            parallel_tasks=parsed.parallel_tasks,
            custom_job=parsed.custom_job,
            notification_emails=parsed.notification_emails,
        )
    except InputError as error:
        # It names a step, in which the file may say nothing.
        note = f" ({_ALL_STEPS} is of each step)" if for_all else ""
        raise InputError(f"{error}{note}") from error


def _step_defaults(
    platform: PlatformRules, step: Step, for_all: Mapping[str, Any], changes: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a file's changes to a step begin with: defaults with TPUs if it has some then.

    A step on TPUs needs other cores, memory and time-outs than one on cores or GPUs.

    Args:
        platform: The platform.
        step: The step.
        for_all: The file's settings of all steps.
        changes: The file's settings by step.
    """
    step_changes = changes.get(step.name)
    given = {**for_all, **step_changes} if isinstance(step_changes, Mapping) else for_all
    has_tpus = given["tpu"] is not None if "tpu" in given else None
    return dataclasses.asdict(platform.default_resources(step, has_tpus=has_tpus))


def _merge(values: Any, changes: Any) -> Any:
    """Return nested mappings with the changes in place; anything else is replaced whole.

    Neither argument is changed. A change to None replaces a value by None; names that `values` has
    not are added.
    """
    if not isinstance(values, Mapping) or not isinstance(changes, Mapping):
        return changes
    merged = {name: _merge(values.get(name), change) for name, change in changes.items()}
    return {**values, **merged}
