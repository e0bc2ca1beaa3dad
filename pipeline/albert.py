"""The pipeline: raw text, or a finished checkpoint, in; a scored ALBERT out."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from kfp import dsl

from components.checkpoint.component import import_checkpoint
from components.export.component import export_models
from components.pretrain.component import pretrain
from components.promote.component import promote
from components.records.component import make_records
from components.register.component import register
from components.report.component import report
from components.resolve.component import resolve
from components.vocab.component import train_vocab
from pipeline.config import RunConfig
from pipeline.dag_builder import DagBuilder
from pipeline.platform_config import PlatformConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptionalSteps:
    """Which optional steps of the table of steps a pipeline has.

    The others are left out when the pipeline is built: kfp's branches at run time are not the same
    on every backend.

    Attributes:
        checkpoint: Whether the run starts from a finished model. The steps from text to pretraining
            are left out then, and `resolve`, `promote` and `register` are ignored.
        resolve: Whether text and start follow from a date that is known only at run time.
        export: Whether fine-tuned models are exported.
        promote: Whether the model may take the place of the accepted one.
        register: Whether the exports of a model that did so are entered into Vertex AI's registry;
            only together with `export` and `promote` (not checked).
        summary: Whether a task tells at the end what became of the others, however they ended.
    """

    checkpoint: bool = False
    resolve: bool = False
    export: bool = False
    promote: bool = False
    register: bool = False
    summary: bool = False

    @classmethod
    def for_run(cls, config: RunConfig, *, is_remote: bool = False) -> "OptionalSteps":
        """Return the optional steps of a run.

        A run with a checkpoint's path starts from it, one with export formats exports, one with
        `retraining.accepted` promotes. Only on a platform, a dated run resolves its date, a run
        with `vertex_models.project` registers, and every run has a summary: a local run resolves
        the date before it starts, and shows on the terminal what a summary tells.

        Args:
            config: The run.
            is_remote: Whether it runs on a platform.
        """
        return cls(
            checkpoint=bool(config.checkpoint.path),
            resolve=is_remote and config.is_dated,
            export=bool(config.export.formats),
            promote=bool(config.retraining.accepted),
            register=is_remote and bool(config.vertex_models.project),
            summary=is_remote,
        )

    @property
    def names(self) -> list[str]:
        """Names of the optional steps that the pipeline has, in the order of the attributes."""
        return [name for name, is_present in dataclasses.asdict(self).items() if is_present]


_NO_OPTIONAL_STEPS = OptionalSteps()


def build_pipeline(
    platform: PlatformConfig,
    optional_steps: OptionalSteps = _NO_OPTIONAL_STEPS,
    vertex_models: Mapping[str, Any] | None = None,
) -> Any:
    """Return the kfp pipeline of all steps for a platform, to compile or to call.

    Its parameters are those of `pipeline_arguments`. Its output is the report; a pipeline with a
    summary has no output. One from a checkpoint has neither the steps of text nor `vertex_models`.

    Args:
        platform: Makes and configures the task of each step.
        optional_steps: The steps it has beside those of every run; none by default. To register,
            it must export and promote, too (not checked).
        vertex_models: Values of `components.register.config.VertexModelsConfig`, for a pipeline
            that registers; they are constants in it.
    """
    if optional_steps.checkpoint:
        return _build_from_checkpoint(platform, optional_steps)
    return _build_from_text(platform, optional_steps, vertex_models or {})


def _build_from_text(
    platform: PlatformConfig, optional_steps: OptionalSteps, vertex_models: Mapping[str, Any]
) -> Any:
    """Return the pipeline of a run that starts from text; as `build_pipeline`.

    Its steps are, the optional ones in brackets: (resolve), vocab, records of each length one after
    the other, pretrain, finetune and evaluate for each job, (export), (promote, after the export),
    (register, after both, which must be there), report. Its output is the report; there is none if
    the run ends with a summary.
    """
    # The summary's task is run by an exit handler, and kfp lets no output out of one.
    output = None if optional_steps.summary else dsl.Artifact

    @dsl.pipeline(name="albert", description="Raw text in, a scored ALBERT out.")
    def albert(
        title: str,
        date: str,
        corpus: dict,
        corpus_fingerprint: str,
        cleaning: dict,
        vocab: dict,
        records: list,
        beam: dict,
        model: dict,
        pretraining: dict,
        jobs: list,
        export: dict,
        retraining: dict,
        accepted: dict,
        work_root: str,
    ) -> output:  # type: ignore[valid-type]
        """Vocabulary, records, pretraining; fine-tuning and evaluation for each job; report.

        Args:
            title: Name of the run.
            date: Its date; where a schedule sets it, the platform's placeholder for it.
            corpus: Settings of `albert_core.corpus.CorpusConfig`.
            corpus_fingerprint: Hash of the corpus: changed text is new work.
            cleaning: Settings of `albert_core.corpus.cleaning.CleaningConfig`.
            vocab: Settings of the vocabulary.
            records: One `components.records.job.RecordsJob` for each sequence length of a phase.
            beam: Settings of where the records are made.
            model: The architecture.
            pretraining: Settings of pretraining.
            jobs: One `components.finetune.job.TaskJob` for each task and initialisation.
            export: Settings of the export.
            retraining: Settings of `components.promote.config.RetrainingConfig`.
            accepted: The `components.promote.model_registry.AcceptedModel` to go on from, or {}.
            work_root: Folder of work in progress, the same for every run that may resume another's.

        Returns:
            The report.
        """
        dag = DagBuilder(platform=platform, work_root=work_root)
        with dag.ending_with_summary(optional_steps.names, title=title, records=records, jobs=jobs):
            if optional_steps.resolve:
                resolved = dag.add(
                    "resolve",
                    resolve,
                    title=title,
                    date=date,
                    corpus=corpus,
                    vocab=vocab,
                    pretraining=pretraining,
                    retraining=retraining,
                ).outputs
                title, date, accepted = resolved["title"], resolved["date"], resolved["accepted"]
                corpus, corpus_fingerprint = resolved["corpus"], resolved["corpus_fingerprint"]
                vocab, pretraining = resolved["vocab"], resolved["pretraining"]

            vocab_task = dag.add(
                "vocab",
                train_vocab,
                config=vocab,
                corpus=corpus,
                corpus_fingerprint=corpus_fingerprint,
            )

            with dsl.ParallelFor(items=records, parallelism=1, name="records") as records_job:
                records_task = dag.add(
                    "records",
                    make_records,
                    job=records_job,
                    vocab=vocab_task.outputs["vocab"],
                    corpus=corpus,
                    corpus_fingerprint=corpus_fingerprint,
                    cleaning=cleaning,
                    beam=beam,
                )

            # kfp changes a dsl.Collected that it is given: each use from here on has its own.
            pretrain_task = dag.add(
                "pretrain",
                pretrain,
                model=model,
                config=pretraining,
                vocab=vocab_task.outputs["vocab"],
                records=dsl.Collected(records_task.outputs["records"]),
            )

            models = dag.finetune_and_evaluate(jobs, pretrain_task.outputs["pretrained"])

            optional_results = {}
            if optional_steps.export:
                export_task = dag.add(
                    "export",
                    export_models,
                    config=export,
                    jobs=jobs,
                    vocab=vocab_task.outputs["vocab"],
                    records=dsl.Collected(records_task.outputs["records"]),
                    pretrained=pretrain_task.outputs["pretrained"],
                    finetuned=models.finetuned,
                    evaluations=models.evaluations,
                )
                optional_results["exported"] = export_task.outputs["exported"]

            if optional_steps.promote:
                promote_task = dag.add(
                    "promote",
                    promote,
                    title=title,
                    date=date,
                    retraining=retraining,
                    accepted=accepted,
                    pretrained=pretrain_task.outputs["pretrained"],
                    evaluations=models.evaluations,
                )
                if optional_steps.export:
                    promote_task.after(export_task)  # a model that cannot be exported stays out
                optional_results["promotion"] = promote_task.outputs["promotion"]

            if optional_steps.register:
                dag.add(
                    "register",
                    register,
                    vertex_models=dict(vertex_models),
                    date=date,
                    title=title,
                    promotion=promote_task.outputs["promotion"],
                    exported=export_task.outputs["exported"],
                )

            report_task = dag.add(
                "report",
                report,
                title=title,
                vocab=vocab_task.outputs["vocab"],
                records=dsl.Collected(records_task.outputs["records"]),
                pretrained=pretrain_task.outputs["pretrained"],
                finetuned=models.finetuned,
                evaluations=models.evaluations,
                **optional_results,
            )

        return None if optional_steps.summary else report_task.outputs["summary"]

    return albert


def _build_from_checkpoint(platform: PlatformConfig, optional_steps: OptionalSteps) -> Any:
    """Return the pipeline of a run that starts from a finished model; as `build_pipeline`.

    Its steps are checkpoint, finetune and evaluate for each job, export if that is among the
    optional steps, report. Its output is the report; there is none if it ends with a summary.
    """
    output = None if optional_steps.summary else dsl.Artifact

    @dsl.pipeline(name="albert", description="A checkpoint in, scores on tasks out.")
    def albert(
        title: str,
        checkpoint: dict,
        checkpoint_fingerprint: str,
        jobs: list,
        export: dict,
        work_root: str,
    ) -> output:  # type: ignore[valid-type]
        """The checkpoint; fine-tuning and evaluation for each job; report.

        Args:
            title: Name of the run.
            checkpoint: Settings of `components.checkpoint.config.CheckpointConfig`.
            checkpoint_fingerprint: Hash of the checkpoint: a changed one is new work.
            jobs: One `components.finetune.job.TaskJob` for each task and initialisation.
            export: Settings of the export.
            work_root: Folder of work in progress, the same for every run that may resume another's.

        Returns:
            The report.
        """
        dag = DagBuilder(platform=platform, work_root=work_root)
        with dag.ending_with_summary(optional_steps.names, title=title, records=[], jobs=jobs):
            checkpoint_task = dag.add(
                "checkpoint",
                import_checkpoint,
                config=checkpoint,
                checkpoint_fingerprint=checkpoint_fingerprint,
            )

            models = dag.finetune_and_evaluate(jobs, checkpoint_task.outputs["pretrained"])

            optional_results = {}
            if optional_steps.export:
                export_task = dag.add(
                    "export",
                    export_models,
                    config=export,
                    jobs=jobs,
                    pretrained=checkpoint_task.outputs["pretrained"],
                    finetuned=models.finetuned,
                    evaluations=models.evaluations,
                )
                optional_results["exported"] = export_task.outputs["exported"]

            report_task = dag.add(
                "report",
                report,
                title=title,
                pretrained=checkpoint_task.outputs["pretrained"],
                finetuned=models.finetuned,
                evaluations=models.evaluations,
                **optional_results,
            )

        return None if optional_steps.summary else report_task.outputs["summary"]

    return albert


albert_pipeline = build_pipeline(PlatformConfig())
"""The pipeline of a local run without optional steps."""
