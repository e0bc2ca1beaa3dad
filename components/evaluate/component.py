"""Kubeflow component: score one fine-tuned model."""

from kfp import dsl

from components.image import component


@component("evaluate")
def evaluate(
    job: dict,
    work_root: str,
    finetuned: dsl.Input[dsl.Model],
    evaluation: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    classification: dsl.Output[dsl.ClassificationMetrics],
) -> None:
    """Score the model on its task's dev set and write predictions."""
    from components.artifacts import artifact_address, log_classification, log_metrics
    from components.evaluate.classification import read_classification
    from components.evaluate.step import evaluate
    from components.finetune.job import parse_job
    from components.runtime import step_process

    settings = parse_job(job)
    name = settings.step_name("evaluate")
    output = artifact_address(evaluation)
    with step_process(name, output=output, work_root=work_root, shares_machine=True) as progress:
        manifest = evaluate(
            model=artifact_address(finetuned),
            data=settings.data,
            output=output,
            work_root=work_root,
            **settings.evaluation_devices(),
            progress=progress,
        )
        log_metrics(metrics, manifest.metrics)
        log_classification(classification, read_classification(output))
