"""Kubeflow component: accept the model if it is better."""

from kfp import dsl

from components.image import component


@component("promote")
def promote(
    retraining: dict,
    accepted: dict,
    date: str,
    title: str,
    work_root: str,
    pretrained: dsl.Input[dsl.Model],
    evaluations: dsl.Input[list[dsl.Artifact]],
    promotion: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Compare the model with the accepted one, and accept it for later runs if it is better."""
    from albert_core.settings import parse_settings
    from components.artifacts import artifact_address, log_metrics
    from components.promote.config import RetrainingConfig
    from components.promote.model_registry import AcceptedModel
    from components.promote.step import promote
    from components.runtime import step_process

    output = artifact_address(promotion)
    with step_process("promote", output=output, work_root=work_root) as progress:
        manifest = promote(
            pretrained=artifact_address(pretrained),
            address=pretrained.uri,
            evaluations=[artifact_address(artifact) for artifact in evaluations],
            accepted=(
                parse_settings(AcceptedModel, accepted, source="accepted") if accepted else None
            ),
            config=parse_settings(RetrainingConfig, retraining, source="retraining"),
            date=date,
            title=title,
            output=output,
            work_root=work_root,
            progress=progress,
        )
        log_metrics(metrics, manifest.metrics)
