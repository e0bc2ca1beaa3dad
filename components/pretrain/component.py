"""Kubeflow component: pretrain."""

from kfp import dsl

from components.image import component


@component("pretrain")
def pretrain(
    model: dict,
    config: dict,
    work_root: str,
    vocab: dsl.Input[dsl.Artifact],
    records: dsl.Input[list[dsl.Dataset]],
    pretrained: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Pretrain ALBERT on the records."""
    from albert_core.presets import ModelConfig
    from albert_core.pretraining.config import PretrainingConfig
    from albert_core.settings import parse_settings
    from components.artifacts import artifact_address, log_metrics
    from components.pretrain.step import pretrain
    from components.runtime import step_process

    output = artifact_address(pretrained)
    with step_process("pretrain", output=output, work_root=work_root) as progress:
        manifest = pretrain(
            records=[artifact_address(artifact) for artifact in records],
            vocab=artifact_address(vocab),
            model=parse_settings(ModelConfig, model, source="model"),
            config=parse_settings(PretrainingConfig, config, source="pretraining"),
            output=output,
            work_root=work_root,
            progress=progress,
        )
        log_metrics(metrics, manifest.metrics)
