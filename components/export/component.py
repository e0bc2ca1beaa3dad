"""Kubeflow component: publish the fine-tuned models in other formats."""

from kfp import dsl

from components.image import component


@component("export")
def export_models(
    config: dict,
    jobs: list,
    work_root: str,
    pretrained: dsl.Input[dsl.Model],
    finetuned: dsl.Input[list[dsl.Model]],
    evaluations: dsl.Input[list[dsl.Artifact]],
    exported: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    vocab: dsl.Input[dsl.Artifact] = None,
    records: dsl.Input[list[dsl.Dataset]] = None,
) -> None:
    """Publish the models that reach their thresholds, scored once more on the jobs' dev sets."""
    from albert_core.settings import parse_settings
    from components.artifacts import artifact_address, log_metrics
    from components.export.config import ExportConfig
    from components.export.step import export_models
    from components.finetune.job import parse_job
    from components.runtime import step_process

    output = artifact_address(exported)
    with step_process("export", output=output, work_root=work_root) as progress:
        manifest = export_models(
            models=[artifact_address(artifact) for artifact in finetuned],
            evaluations=[artifact_address(artifact) for artifact in evaluations],
            config=parse_settings(ExportConfig, config, source="export"),
            vocab=artifact_address(vocab) if vocab else None,
            records=[artifact_address(artifact) for artifact in records or ()],
            pretrained=artifact_address(pretrained),
            data={job.task.name: job.data for job in map(parse_job, jobs)},
            output=output,
            work_root=work_root,
            progress=progress,
        )
        log_metrics(metrics, manifest.metrics)
