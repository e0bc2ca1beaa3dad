"""Kubeflow component: enter an accepted model's exports into the Vertex AI Model Registry."""

from kfp import dsl

from components.image import component


@component("register")
def register(
    vertex_models: dict,
    date: str,
    title: str,
    work_root: str,
    promotion: dsl.Input[dsl.Artifact],
    exported: dsl.Input[dsl.Model],
    registration: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Enter the exported models as new versions, if the run's model was accepted."""
    from albert_core.settings import parse_settings
    from components.artifacts import artifact_address, log_metrics
    from components.register.config import VertexModelsConfig
    from components.register.step import register_models
    from components.runtime import step_process

    output = artifact_address(registration)
    with step_process("register", output=output, work_root=work_root) as progress:
        manifest = register_models(
            promotion=artifact_address(promotion),
            exported=artifact_address(exported),
            address=exported.uri,
            config=parse_settings(VertexModelsConfig, vertex_models, source="vertex_models"),
            date=date,
            title=title,
            output=output,
            work_root=work_root,
            progress=progress,
        )
        log_metrics(metrics, manifest.metrics)
