"""How the pipeline's tasks are configured for a platform."""

from typing import Any

from kfp import dsl

from components.image import GPU_TRAINER, image_name
from pipeline.platform_config import Component, PlatformConfig
from pipeline.remote.resources import Resources


class RemotePlatformConfig(PlatformConfig):
    """Adds tasks to the pipeline being built and configures them, in place, for a platform.

    Args:
        resources: What the steps get on the platform.
        caching: Whether the platform may skip steps at all; what may be skipped is then each
            step's own matter.
    """

    def __init__(self, resources: Resources, *, caching: bool) -> None:
        self.parallel_tasks = resources.parallel_tasks
        self._resources = resources
        self._caching = caching

    def add_task(self, step: str, component: Component, /, **inputs: Any) -> dsl.PipelineTask:
        """Add the task of a step, configured for the platform, to the pipeline being built.

        With TPUs on a platform whose tasks have none, the task starts a job and waits for it.

        Args:
            step: Name of the step in `components.steps.STEPS`.
            component: Its component.
            **inputs: Inputs of the component.
        """
        resources = self._resources
        task = resources.platform.add_task(
            step, component, resources.steps[step], resources.custom_job, **inputs
        )
        return self.configure(task, step)

    def configure(self, task: dsl.PipelineTask, step: str) -> dsl.PipelineTask:
        """Configure the task of a step for the platform, in place, and return it.

        That is title, cores, memory, GPUs, retries and cache; what only this platform has, such as
        environment variables; and, for a task with GPUs or TPUs of its own, their image in place
        of the step's.

        Args:
            task: The task.
            step: Name of its step in `components.steps.STEPS`.
        """
        resources = self._resources.steps[step]
        task.set_display_name(resources.display_name)
        task.set_cpu_limit(str(resources.cpus)).set_memory_limit(f"{resources.memory_gib}Gi")
        task.set_caching_options(resources.caching and self._caching)
        if resources.retries:
            task.set_retry(
                resources.retries,
                f"{resources.backoff_s}s",
                resources.backoff_factor,
                f"{resources.max_backoff_s}s",
            )
        if resources.accelerator:
            task.set_accelerator_type(resources.accelerator.type)
            task.set_accelerator_limit(resources.accelerator.count)
            # The other trainer has no CUDA: it would train on the cores of a machine with GPUs.
            task.set_container_image(image_name(GPU_TRAINER))
        if resources.tpu and not self._resources.platform.uses_tpus_in_custom_jobs:
            task.set_container_image(image_name("tpu"))
        self._resources.platform.configure(task, resources)
        return task

    def notify(self, steps: Any) -> None:
        """Add the task that sends e-mail to those whom the resources name, if they name any.

        Args:
            steps: The group of all other tasks, of kfp, after which it runs however they ended.
        """
        if self._resources.notification_emails:
            self._resources.platform.notify(steps, self._resources.notification_emails)
