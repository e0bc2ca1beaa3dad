"""What differs between platforms when a pipeline is compiled; known without a connection."""

import abc
from collections.abc import Sequence
from typing import Any, ClassVar

from components.steps import Step
from pipeline.platform_config import Component
from pipeline.remote.step_resources import CustomJobSettings, StepResources


class PlatformRules(abc.ABC):
    """What a platform accepts of a compiled pipeline, and how a task asks it for a machine.

    Attributes:
        name: Its name in options and settings.
        title: Its name in messages.
        scheduled_date: What a schedule passes as the date of a run; the platform replaces it by
            the time, or the date, for which it starts the run.
        max_parameter_bytes: Largest size of a pipeline's parameters as JSON; None: no known limit.
        max_title_characters: Most characters of the title of a run.
        uses_tpus_in_custom_jobs: Whether its pipelines have no TPUs, so that the task of a step
            on TPUs starts a job elsewhere and waits for it.
        sends_email: Whether it has a task that tells people by e-mail how a run ended.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    scheduled_date: ClassVar[str]
    max_parameter_bytes: ClassVar[int | None] = None
    max_title_characters: ClassVar[int]
    uses_tpus_in_custom_jobs: ClassVar[bool] = False
    sends_email: ClassVar[bool] = False

    def default_resources(self, step: Step, *, has_tpus: bool | None = None) -> StepResources:
        """Return the default resources of a step.

        Args:
            step: The step.
            has_tpus: Whether it has a small slice of TPUs; None: as the table of steps says.
        """
        return StepResources.from_step(step, has_tpus=has_tpus)

    @abc.abstractmethod
    def check_resources(self, step: str, resources: StepResources) -> None:
        """Refuse what a step cannot have on this platform.

        Raises:
            InputError: A resource or setting cannot be had; the message names it.
        """

    def add_task(
        self,
        step: str,
        component: Component,
        resources: StepResources,
        custom_job: CustomJobSettings,
        /,
        **inputs: Any,
    ) -> Any:
        """Add the kfp task of a step to the pipeline being built.

        Here it is the step's component; a platform that uses TPUs in jobs adds another one for
        those.

        Args:
            step: Name of the step.
            component: Its component.
            resources: What the step gets; unused unless the platform uses TPUs in jobs.
            custom_job: Settings of the job, where the platform uses TPUs in one.
            **inputs: Inputs of the component.

        Returns:
            The task, not yet configured.
        """
        return component(**inputs)

    def configure(self, task: Any, resources: StepResources) -> None:
        """Give a kfp task, in place, its environment variables and what only this platform has.

        What is asked for in the same way on every platform is set already: title, cores, memory,
        GPUs, retries, caching, and the image for GPUs or TPUs.

        Args:
            task: The task.
            resources: What its step gets.
        """
        for name, value in resources.environment.items():
            task.set_env_variable(name, value)

    def notify(self, steps: Any, emails: Sequence[str]) -> None:
        """Add a kfp task that sends e-mail, on a platform that `sends_email`.

        Args:
            steps: The group of all other tasks, after which it runs however they ended.
            emails: Whom it tells.

        Raises:
            NotImplementedError: The platform sends no e-mail.
        """
        raise NotImplementedError(f"{self.title} sends no e-mail")
