"""Kubeflow component: score a model on TPUs by a custom job of Vertex AI, and wait for it."""

from kfp import dsl

from components.image import component


@component("evaluate", image="data")
def evaluate_in_custom_job(
    job: dict,
    work_root: str,
    project: str,
    location: str,
    tpu_job: dict,
    finetuned: dsl.Input[dsl.Model],
    evaluation: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    classification: dsl.Output[dsl.ClassificationMetrics],
) -> None:
    """Score the model as `TaskJob` and `components.tpu_job.TpuJob` say, from gs:// to gs://."""
    from components.artifacts import log_classification, log_metrics
    from components.evaluate.classification import read_classification
    from components.finetune.job import parse_job
    from components.runtime import step_process
    from components.task_command import run_task_on_tpus

    name, output = parse_job(job).step_name("evaluate"), evaluation.uri
    with step_process(name, output=output, work_root=work_root) as progress:
        manifest = run_task_on_tpus(
            "evaluate",
            job=job,
            model=finetuned.uri,
            output=output,
            work_root=work_root,
            project=project,
            location=location,
            tpu_job=tpu_job,
            progress=progress,
        )
        log_metrics(metrics, manifest.metrics)
        log_classification(classification, read_classification(output))
