"""What Vertex AI Pipelines accepts, and how steps get TPUs there."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from albert_core.errors import InputError
from albert_core.object_storage.settings import STORAGE_VARIABLES
from components.steps import Step
from pipeline.platform_config import Component
from pipeline.remote.cloud_names import check_vertex_gpus
from pipeline.remote.platforms.rules import PlatformRules
from pipeline.remote.step_resources import POD_SETTINGS, CustomJobSettings, StepResources
from pipeline.remote.tpu import TpuSlice

# Vertex AI replaces these by the run's own, as it does in Google's components.
_PROJECT = "{{$.pipeline_google_cloud_project_id}}"
_LOCATION = "{{$.pipeline_google_cloud_location}}"
_SCHEDULED_DATE = "{{$.pipeline_job_schedule_time_utc}}"
VERTEX_PLACEHOLDERS = (_PROJECT, _LOCATION, _SCHEDULED_DATE)
"""Texts by which a compiled pipeline is known to be for Vertex AI; not every one has them."""


class VertexRules(PlatformRules):
    """Vertex AI Pipelines: its tasks have no TPUs, so a step on TPUs is a custom job."""

    name = "vertex"
    title = "Vertex AI"
    scheduled_date = _SCHEDULED_DATE
    uses_tpus_in_custom_jobs = True
    sends_email = True
    max_title_characters = 128  # of a display name

    def default_resources(self, step: Step, *, has_tpus: bool | None = None) -> StepResources:
        """Return the default resources of a step: no shared memory, and no time-out without TPUs.

        A task that waits for a custom job on TPUs is small. Vertex AI does not know time-outs for
        the steps of a pipeline.
        """
        defaults = super().default_resources(step, has_tpus=has_tpus)
        resources = dataclasses.replace(defaults, shared_memory_gib=0)
        if resources.tpu:
            return dataclasses.replace(resources, cpus=2, memory_gib=8)
        return dataclasses.replace(resources, timeout_s=0)

    def check_resources(self, step: str, resources: StepResources) -> None:
        """Refuse GPUs that Vertex AI has not and settings that steps of a pipeline do not have.

        These are all settings of a pod, shared memory and, except for a job on TPUs, a time-out and
        Spot machines. A job on TPUs may not have Spot machines if its slice has several.

        Raises:
            InputError: There is such a thing, or a job on TPUs without a time-out.
        """
        if gpus := resources.accelerator:
            check_vertex_gpus(f"{step}.accelerator", gpus.type, gpus.count)
        is_set = {
            **{name: bool(getattr(resources, name)) for name in POD_SETTINGS},
            "shared_memory_gib": bool(resources.shared_memory_gib),
            "timeout_s": bool(resources.timeout_s) and not resources.tpu,
            "spot": resources.spot and not resources.tpu,
        }
        for name in (name for name, is_present in is_set.items() if is_present):
            raise InputError(
                f"{step}.{name}: got {getattr(resources, name)}, expected nothing: Vertex AI has "
                "no such setting for a step of a pipeline; remove it"
            )
        if resources.spot and resources.tpu and resources.tpu.num_hosts > 1:
            raise InputError(
                f"{step}.spot: got true with {resources.tpu.num_hosts} machines of "
                f"{resources.tpu.machine}, expected one machine: Vertex AI has no Spot slices of "
                "several; take a larger machine, or remove it"
            )
        if resources.tpu and not resources.timeout_s:
            raise InputError(
                f"{step}.timeout_s: got 0, expected the seconds after which the job on TPUs ends"
            )

    def add_task(
        self,
        step: str,
        component: Component,
        resources: StepResources,
        custom_job: CustomJobSettings,
        /,
        **inputs: Any,
    ) -> Any:
        """Add the task of a step, or with TPUs one that waits for a custom job; return it."""
        if resources.tpu is None:
            return super().add_task(step, component, resources, custom_job, **inputs)
        from components.evaluate.custom_job_component import evaluate_in_custom_job
        from components.finetune.custom_job_component import finetune_in_custom_job
        from components.pretrain.custom_job_component import pretrain_in_custom_job

        waiting_components = {
            "pretrain": pretrain_in_custom_job,
            "finetune": finetune_in_custom_job,
            "evaluate": evaluate_in_custom_job,
        }
        return waiting_components[step](
            **inputs,
            project=_PROJECT,
            location=_LOCATION,
            tpu_job=_tpu_job(step, resources, resources.tpu, custom_job),
        )

    def configure(self, task: Any, resources: StepResources) -> None:
        """Give a task its environment variables, in place; one that waits for a job only a few.

        They are those of buckets; the variables of the job itself are in the job's settings
        already.
        """
        if not resources.tpu:
            super().configure(task, resources)
            return
        for name in STORAGE_VARIABLES:
            if value := resources.env.get(name):
                task.set_env_variable(name, value)

    def notify(self, steps: Any, emails: Sequence[str]) -> None:
        """Add Google's task that lets Vertex AI send e-mail with state, name and page of the run.

        Args:
            steps: The group of all other tasks, after which it runs however they ended.
            emails: Whom it tells.
        """
        from google_cloud_pipeline_components.v1.vertex_notification_email import (
            VertexNotificationEmailOp,
        )

        # A group has one exit task, which is the summary: this is one of the same form.
        task = VertexNotificationEmailOp(recipients=list(emails)).after(steps)
        task.ignore_upstream_failure().set_display_name("E-mail").set_caching_options(False)


def _tpu_job(
    step: str, resources: StepResources, tpu: TpuSlice, custom_job: CustomJobSettings
) -> dict[str, Any]:
    """Return the `components.tpu_job.TpuJob` of a step, as plain values.

    Its image is in ALBERT_REGISTRY. `is_spot` is left out unless it is true.
    """
    from components.image import image_name
    from components.tpu_job import TpuJob

    job = TpuJob(
        display_name=f"albert-{step}",
        image=image_name("tpu"),
        machine_type=tpu.machine,
        tpu_topology=tpu.topology,
        timeout_s=resources.timeout_s,
        env=resources.environment,
        is_spot=resources.spot,
        **dataclasses.asdict(custom_job),
    )
    values = dataclasses.asdict(job)
    if not job.is_spot:
        # The default is left out, so that pipelines stay the same, byte for byte.
        del values["is_spot"]
    return values
