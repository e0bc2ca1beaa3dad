"""The table of a target, applied to the tasks of the pipeline."""

import dataclasses
from typing import Any

from kfp import dsl, kubernetes

from components.image import image_name
from components.pretrain.custom_job_component import pretrain_in_custom_job
from components.pretrain.tpu_job import TpuJob
from pipeline.platform_config import PlatformConfig
from pipeline.remote.resources import Resources, StepResources

# Vertex AI puts the run's own in their place, as in Google's components.
_PROJECT = "{{$.pipeline_google_cloud_project_id}}"
_LOCATION = "{{$.pipeline_google_cloud_location}}"


class TargetPlacement(PlatformConfig):
    """Where the tasks run on a target.

    Args:
        resources: The table of a target.
        caching: Whether the target may skip steps at all.
    """

    def __init__(self, resources: Resources, *, caching: bool) -> None:
        self.parallel_tasks = resources.parallel_tasks
        self._resources = resources
        self._caching = caching

    def pretrain(self, **inputs: Any) -> dsl.PipelineTask:
        """Return the task that pretrains, or starts a job that does and waits for it."""
        resources = self._resources
        slice_ = resources.pretrain.tpu
        if slice_ is None or not resources.uses_custom_job:
            return super().pretrain(**inputs)
        job = TpuJob(
            display_name="albert-pretrain",
            image=image_name("tpu"),
            machine_type=slice_.machine,
            tpu_topology=slice_.topology,
            timeout_s=resources.pretrain.timeout_s,
            env=resources.pretrain.environment,
            **dataclasses.asdict(resources.custom_job),
        )
        return pretrain_in_custom_job(
            **inputs, project=_PROJECT, location=_LOCATION, job=dataclasses.asdict(job)
        )

    def configure(self, task: dsl.PipelineTask, step: str) -> dsl.PipelineTask:
        """Give a task what the table has for its step."""
        own = self._resources.steps()[step]
        task.set_display_name(own.display_name)
        task.set_cpu_limit(str(own.cpus)).set_memory_limit(f"{own.memory_gib}Gi")
        task.set_caching_options(own.caching and self._caching)
        if own.retries:
            task.set_retry(
                own.retries, f"{own.backoff_s}s", own.backoff_factor, f"{own.max_backoff_s}s"
            )
        is_elsewhere = step == "pretrain" and self._resources.uses_custom_job
        for name, value in () if is_elsewhere else own.environment.items():
            task.set_env_variable(name, value)
        if own.accelerator:
            task.set_accelerator_type(own.accelerator.type)
            task.set_accelerator_limit(own.accelerator.count)
        if self._resources.target == "kubeflow":
            _put_on_kubernetes(task, own)
        return task


def _put_on_kubernetes(task: dsl.PipelineTask, own: StepResources) -> None:
    selectors: dict[str, str] = {}
    if own.tpu:
        task.set_container_image(image_name("tpu"))
        task.set_accelerator_type("google.com/tpu")
        task.set_accelerator_limit(own.tpu.chips_per_machine)
        selectors["cloud.google.com/gke-tpu-accelerator"] = own.tpu.node_label
        selectors["cloud.google.com/gke-tpu-topology"] = own.tpu.topology
        kubernetes.add_toleration(
            task, key="google.com/tpu", operator="Exists", effect="NoSchedule"
        )
    for name, value in {**selectors, **own.node_selectors}.items():
        kubernetes.add_node_selector(task, name, value)
    if own.timeout_s:
        kubernetes.set_timeout(task, own.timeout_s)
    if own.shared_memory_gib:
        kubernetes.empty_dir_mount(
            task, "shared-memory", "/dev/shm", "Memory", f"{own.shared_memory_gib}Gi"
        )
