"""Kubeflow component: fine-tune on one task."""

from kfp import dsl

from components.image import component


@component("finetune")
def finetune(
    job: dict,
    work_root: str,
    pretrained: dsl.Input[dsl.Model],
    finetuned: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Fine-tune as a `components.finetune.job.TaskJob` says."""
    from components.artifacts import artifact_address, log_metrics
    from components.finetune.job import parse_job
    from components.finetune.step import finetune
    from components.runtime import step_process

    settings = parse_job(job)
    name = settings.step_name("finetune")
    output = artifact_address(finetuned)
    with step_process(name, output=output, work_root=work_root, shares_machine=True) as progress:
        manifest = finetune(
            task=settings.task,
            data=settings.data,
            pretrained=artifact_address(pretrained),
            initialization=settings.initialization,
            config=settings.finetuning,
            output=output,
            work_root=work_root,
            progress=progress,
        )
        log_metrics(metrics, manifest.metrics)
