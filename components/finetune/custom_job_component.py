"""Kubeflow component: fine-tune on TPUs by a custom job of Vertex AI, and wait for it."""

from kfp import dsl

from components.image import component


@component("finetune", image="data")
def finetune_in_custom_job(
    job: dict,
    work_root: str,
    project: str,
    location: str,
    tpu_job: dict,
    pretrained: dsl.Input[dsl.Model],
    finetuned: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Fine-tune as `TaskJob` and `components.tpu_job.TpuJob` say, from gs:// to gs://."""
    from components.artifacts import log_metrics
    from components.finetune.job import parse_job
    from components.runtime import step_process
    from components.task_command import run_task_on_tpus

    name, output = parse_job(job).step_name("finetune"), finetuned.uri
    with step_process(name, output=output, work_root=work_root) as progress:
        manifest = run_task_on_tpus(
            "finetune",
            job=job,
            model=pretrained.uri,
            output=output,
            work_root=work_root,
            project=project,
            location=location,
            tpu_job=tpu_job,
            progress=progress,
        )
        log_metrics(metrics, manifest.metrics)
