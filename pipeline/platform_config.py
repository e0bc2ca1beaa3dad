"""What the pipeline's definition needs to know of the place where its tasks run."""

from collections.abc import Callable, Mapping
from typing import Any

from kfp import dsl

from components.evaluate.component import evaluate
from components.finetune.component import finetune
from components.pretrain.component import pretrain
from components.steps import STEPS

PARALLEL_JOBS = 2  # kfp's local runner never runs more tasks of a loop at a time

MODEL_COMPONENTS: Mapping[str, Callable[..., dsl.PipelineTask]] = {
    "pretrain": pretrain,
    "finetune": finetune,
    "evaluate": evaluate,
}
"""The components of the steps that train or run a model, by the names of the steps."""


class PlatformConfig:
    """How tasks are configured for where they run; this one is for a run on this machine.

    Attributes:
        parallel_tasks: How many tasks are fine-tuned and evaluated at a time.
    """

    parallel_tasks = PARALLEL_JOBS

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

    def add_task(self, step: str, **inputs: Any) -> dsl.PipelineTask:
        """Add the task of a step that trains or runs a model to the pipeline being built.

        Args:
            step: Name of the step, one of `MODEL_COMPONENTS`.
            **inputs: Inputs of the step's component.

        Returns:
            The task, not yet configured.
        """
        return MODEL_COMPONENTS[step](**inputs)

    def notify(self, steps: Any) -> None:
        """Add a task that tells people how the run ended; here nothing, as they see it.

        Args:
            steps: The group of all other tasks, of kfp, after which it runs however they ended.
        """
