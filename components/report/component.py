"""Kubeflow component: the page of the run."""

from kfp import dsl

from components.image import component


@component("trainer")
def report(
    title: str,
    work_root: str,
    vocab: dsl.Input[dsl.Artifact],
    records: dsl.Input[list[dsl.Dataset]],
    pretrained: dsl.Input[dsl.Model],
    finetuned: dsl.Input[list[dsl.Model]],
    evaluations: dsl.Input[list[dsl.Artifact]],
    summary: dsl.Output[dsl.Artifact],
    page: dsl.Output[dsl.HTML],
    exported: dsl.Input[dsl.Model] = None,
    promotion: dsl.Input[dsl.Artifact] = None,
) -> None:
    """Write the report, and show its page."""
    import pathlib
    import shutil

    from components.report.step import PAGE_NAME, write_report
    from components.runtime import step_process

    with step_process("report") as progress:
        write_report(
            title=title,
            vocab=vocab.path,
            records=[artifact.path for artifact in records],
            pretrained=pretrained.path,
            finetuned=[artifact.path for artifact in finetuned],
            evaluations=[artifact.path for artifact in evaluations],
            exported=exported.path if exported else None,
            promotion=promotion.path if promotion else None,
            output=summary.path,
            work_root=work_root,
            progress=progress,
        )
        shutil.copyfile(pathlib.Path(summary.path) / PAGE_NAME, page.path)
