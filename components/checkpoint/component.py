"""Kubeflow component: read the checkpoint that a run starts from."""

from kfp import dsl

from components.image import component


@component("checkpoint")
def import_checkpoint(
    config: dict,
    checkpoint_fingerprint: str,
    work_root: str,
    pretrained: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Publish a checkpoint of any kind for the tasks; a changed fingerprint is new work."""
    from albert_core.settings import parse_settings
    from components.artifacts import artifact_address, log_metrics
    from components.checkpoint.config import CheckpointConfig
    from components.checkpoint.step import import_checkpoint
    from components.runtime import step_process

    output = artifact_address(pretrained)
    with step_process("checkpoint", output=output, work_root=work_root) as progress:
        manifest = import_checkpoint(
            config=parse_settings(CheckpointConfig, config, source="checkpoint"),
            output=output,
            work_root=work_root,
            progress=progress,
        )
        log_metrics(metrics, manifest.metrics)
