"""Kubeflow component: the summary of a run, however it ended."""

from kfp import dsl

from components.image import component


@component("summary")
def summarise_run(
    title: str,
    records: list,
    jobs: list,
    optional_steps: list,
    work_root: str,
    run_name: str,
    run_id: str,
    status: dsl.PipelineTaskFinalStatus,
    summary: dsl.Output[dsl.Artifact],
    page: dsl.Output[dsl.Markdown],
) -> None:
    """Write what became of each step of a run; `run_name` and `run_id` are the platform's."""
    import pathlib

    from components.artifacts import artifact_address
    from components.finetune.job import parse_job
    from components.run_summary.step import planned_steps, write_run_summary

    text = write_run_summary(
        title=title,
        run=status.pipeline_job_resource_name or run_name,
        runs=(run_id, run_name),
        is_success=status.state == "SUCCEEDED",
        error=status.error_message or "",
        planned=planned_steps(
            [job["step"] for job in records], [parse_job(job) for job in jobs], optional_steps
        ),
        work_root=work_root,
        output=artifact_address(summary),
    )
    pathlib.Path(page.path).write_text(text, encoding="utf-8")
    print(text)
