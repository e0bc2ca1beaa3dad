"""Kubeflow component: the page of the run."""

from kfp import dsl

from components.image import component


@component("report")
def report(
    title: str,
    work_root: str,
    pretrained: dsl.Input[dsl.Model],
    finetuned: dsl.Input[list[dsl.Model]],
    evaluations: dsl.Input[list[dsl.Artifact]],
    summary: dsl.Output[dsl.Artifact],
    page: dsl.Output[dsl.HTML],
    vocab: dsl.Input[dsl.Artifact] = None,
    records: dsl.Input[list[dsl.Dataset]] = None,
    exported: dsl.Input[dsl.Model] = None,
    promotion: dsl.Input[dsl.Artifact] = None,
) -> None:
    """Write the report, and show its page."""
    import pathlib

    from albert_core.storage import join, read_bytes
    from components.artifacts import artifact_address
    from components.report.step import PAGE_NAME, write_report
    from components.runtime import step_process

    output = artifact_address(summary)
    with step_process("report", output=output, work_root=work_root) as progress:
        write_report(
            title=title,
            vocab=artifact_address(vocab) if vocab else None,
            records=[artifact_address(artifact) for artifact in records or ()],
            pretrained=artifact_address(pretrained),
            finetuned=[artifact_address(artifact) for artifact in finetuned],
            evaluations=[artifact_address(artifact) for artifact in evaluations],
            exported=artifact_address(exported) if exported else None,
            promotion=artifact_address(promotion) if promotion else None,
            output=output,
            work_root=work_root,
            progress=progress,
        )
        pathlib.Path(page.path).write_bytes(read_bytes(join(output, PAGE_NAME)))
