"""Kubeflow component: pretrain on TPUs by a custom job of Vertex AI, and wait for it."""

from kfp import dsl

from components.image import component


@component("pretrain", image="data")
def pretrain_in_custom_job(
    model: dict,
    config: dict,
    work_root: str,
    project: str,
    location: str,
    tpu_job: dict,
    vocab: dsl.Input[dsl.Artifact],
    records: dsl.Input[list[dsl.Dataset]],
    pretrained: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Pretrain as a `components.tpu_job.TpuJob` says, from gs:// to gs://."""
    from albert_core.presets import ModelConfig
    from albert_core.pretraining.config import PretrainingConfig
    from albert_core.settings import parse_settings
    from components.artifacts import log_metrics
    from components.pretrain.command import pretrain_command
    from components.runtime import step_process
    from components.tpu_job import TpuJob, run_on_tpus

    output = pretrained.uri
    with step_process("pretrain", output=output, work_root=work_root) as progress:
        manifest = run_on_tpus(
            command=pretrain_command(
                records=[artifact.uri for artifact in records],
                vocab=vocab.uri,
                model=parse_settings(ModelConfig, model, source="model"),
                config=parse_settings(PretrainingConfig, config, source="pretraining"),
                output=output,
                work_root=work_root,
            ),
            output=output,
            work_root=work_root,
            project=project,
            location=location,
            job=parse_settings(TpuJob, tpu_job, source="tpu_job"),
            progress=progress,
        )
        log_metrics(metrics, manifest.metrics)
