"""What the pipeline's definition needs to know of the place where its tasks run."""

from typing import Any

from kfp import dsl

from components.pretrain.component import pretrain
from components.steps import STEPS

PARALLEL_JOBS = 2  # kfp's local runner never runs more tasks of a loop at a time


class PlatformConfig:
    """How tasks are configured for where they run; this one is for a run on this machine.

    Attributes:
        parallel_tasks: How many tasks are fine-tuned and evaluated at a time.
    """

    parallel_tasks = PARALLEL_JOBS

    def configure(self, task: dsl.PipelineTask, step: str) -> dsl.PipelineTask:
        """Configure the task of a step in place, and return it.

        On this machine only the cache is configured, switched off for steps that must always run:
        kfp's local runner ignores machines, retries and titles, with a warning for each.

        Args:
            task: The task.
            step: Name of its step in `components.steps.STEPS`.
        """
        if not STEPS[step].is_cacheable:
            task.set_caching_options(False)
        return task

    def pretrain(self, **inputs: Any) -> dsl.PipelineTask:
        """Add the task that pretrains to the pipeline being built; return it, not yet configured.

        Args:
            **inputs: Those of `components.pretrain.component.pretrain`.
        """
        return pretrain(**inputs)

    def notify(self, steps: Any) -> None:
        """Add a task that tells people how the run ended; here nothing, as they see it.

        Args:
            steps: The group of all other tasks, of kfp, after which it runs however they ended.
        """
