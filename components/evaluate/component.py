"""Kubeflow component: score one fine-tuned model."""

from kfp import dsl

from components.image import component


@component("trainer")
def evaluate(
    job: dict,
    work_root: str,
    finetuned: dsl.Input[dsl.Model],
    evaluation: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Score the model on its task's dev set and write predictions."""
    from albert_core.settings import parse_settings
    from components.artifacts import address_of
    from components.evaluate.step import evaluate
    from components.finetune.job import TaskJob
    from components.image import log_figures
    from components.runtime import step_process

    settings = parse_settings(TaskJob, job, source="task")
    name = settings.step_name("evaluate")
    with step_process(name, shares_machine=True) as progress:
        manifest = evaluate(
            model=address_of(finetuned),
            data=settings.data,
            output=address_of(evaluation),
            work_root=work_root,
            progress=progress,
        )
        log_figures(metrics, manifest.figures)
