"""What the pipeline's definition needs to know of the place where its tasks run."""

from collections.abc import Callable
from typing import Any

from kfp import dsl

from components.steps import STEPS

PARALLEL_JOBS = 2  # kfp's local runner never runs more tasks of a loop at a time

Component = Callable[..., dsl.PipelineTask]
"""A kfp component: adds its task to the pipeline being built, and returns it."""


class PlatformConfig:
    """How tasks are configured for where they run; this one is for a run on this machine.

    Attributes:
        parallel_tasks: How many tasks are fine-tuned and evaluated at a time.
    """

    parallel_tasks = PARALLEL_JOBS

    def add_task(self, step: str, component: Component, /, **inputs: Any) -> dsl.PipelineTask:
        """Add the task of a step, configured for the platform, to the pipeline being built.

        Args:
            step: Name of the step in `components.steps.STEPS`.
            component: Its component.
            **inputs: Inputs of the component.
        """
        return self.configure(component(**inputs), step)

    def configure(self, task: dsl.PipelineTask, step: str) -> dsl.PipelineTask:
        """Configure the task of a step in place, and return it.

        Here, for a run on this machine, kfp's cache is switched off for steps that must always run;
        nothing else is set, since kfp's local runner ignores machines, retries and titles, with a
        warning for each. `RemotePlatformConfig` overrides this for other platforms.

        Args:
            task: The task.
            step: Name of its step in `components.steps.STEPS`.
        """
        if not STEPS[step].is_cacheable:
            task.set_caching_options(False)
        return task

    def notify(self, steps: Any) -> None:
        """Add a task that tells people how the run ended; here nothing, as they see it.

        Args:
            steps: The group of all other tasks, of kfp, after which it runs however they ended.
        """
