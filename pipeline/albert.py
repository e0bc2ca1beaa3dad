"""The pipeline, as Kubeflow knows it."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from kfp import dsl

from components.evaluate.component import evaluate
from components.export.component import export_models
from components.finetune.component import finetune
from components.pretrain.component import pretrain
from components.promote.component import promote
from components.records.component import make_records
from components.report.component import report
from components.resolve.component import resolve
from components.resolve.dates import NO_DATE, is_set_at_run_time
from components.vocab.component import train_vocab
from pipeline.config import RunConfig

PARALLEL_JOBS = 2  # kfp's local runner never has more at work


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptionalSteps:
    """Which steps a pipeline has beside those of every run.

    What a run has no use for is left out when its pipeline is built: branches taken at run time
    are not the same on every backend.

    Attributes:
        resolve: Whether the date is known at run time only, and what follows from it.
        export: Whether models are exported.
        promote: Whether the model may take the place of the accepted one.
    """

    resolve: bool
    export: bool
    promote: bool


def build_pipeline(config: RunConfig, *, date: str = NO_DATE) -> Any:
    """Return the pipeline of a configuration, to compile it or to call it.

    Args:
        config: The run.
        date: As for `pipeline.preflight.pipeline_arguments`, which gives the arguments.
    """
    steps = OptionalSteps(
        resolve=is_set_at_run_time(date),
        export=bool(config.export.formats),
        promote=bool(config.retraining.accepted),
    )
    function: Any = functools.partial(_albert, steps)
    function.__name__, function.__doc__ = "albert", _albert.__doc__  # kfp asks for both
    return dsl.pipeline(function, name="albert", description="Raw text in, a scored ALBERT out.")


def _albert(
    steps: OptionalSteps,
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
) -> dsl.Artifact:
    """Vocabulary, records, pretraining; fine-tuning and evaluation for each job; report.

    Args:
        steps: Which steps there are beside those.
        title: Name of the run.
        date: Date of the run; `components.resolve.dates.SCHEDULED_DATE` where a schedule sets it.
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
        accepted: The `albert_core.runs.acceptance.AcceptedModel` to go on from; empty: none.
        work_root: Folder of work in progress, the same for every run that may resume another's.

    Returns:
        The report.
    """
    if steps.resolve:
        start = {"vocab": vocab, "pretraining": pretraining, "retraining": retraining}
        resolved = resolve(title=title, date=date, corpus=corpus, **start)
        found = resolved.set_caching_options(False).outputs  # text and models come without notice
        title, date, corpus = found["title"], found["date"], found["corpus"]
        corpus_fingerprint, accepted = found["corpus_fingerprint"], found["accepted"]
        vocab, pretraining = found["vocab"], found["pretraining"]
    text = {"corpus": corpus, "corpus_fingerprint": corpus_fingerprint, "work_root": work_root}
    vocabulary = train_vocab(config=vocab, **text).outputs["vocab"]
    with dsl.ParallelFor(items=records, parallelism=1, name="records") as records_job:
        made = make_records(cleaning=cleaning, job=records_job, beam=beam, vocab=vocabulary, **text)
    data = {"records": made.outputs["records"]}
    trained = pretrain(
        model=model, config=pretraining, vocab=vocabulary, work_root=work_root, **_collected(data)
    )
    pretrained = trained.outputs["pretrained"]
    with dsl.ParallelFor(items=jobs, parallelism=PARALLEL_JOBS, name="tasks") as job:
        tuned = finetune(job=job, pretrained=pretrained, work_root=work_root)
        scored = evaluate(job=job, finetuned=tuned.outputs["finetuned"], work_root=work_root)
    scores = {"evaluations": scored.outputs["evaluation"]}
    models = {"finetuned": tuned.outputs["finetuned"], **scores}
    more: dict[str, Any] = {}
    if steps.export:
        exported = export_models(config=export, work_root=work_root, **_collected(models))
        more["exported"] = exported.outputs["exported"]
    if steps.promote:
        promoted = promote(
            title=title,
            date=date,
            accepted=accepted,
            retraining=retraining,
            pretrained=pretrained,
            work_root=work_root,
            **_collected(scores),
        )
        if steps.export:
            promoted.after(exported)
        more["promotion"] = promoted.outputs["promotion"]
    page = report(
        title=title,
        vocab=vocabulary,
        pretrained=pretrained,
        work_root=work_root,
        **_collected(data | models),
        **more,
    )
    return page.outputs["summary"]


def _collected(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Gather the outputs of a loop as lists, anew for each use: kfp changes what it is given."""
    return {name: dsl.Collected(output) for name, output in outputs.items()}
