"""The pipeline, as Kubeflow knows it."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
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
from components.run_summary.component import summarise_run
from components.vocab.component import train_vocab
from pipeline.config import RunConfig

PARALLEL_JOBS = 2  # kfp's local runner never has more at work


class Placement:
    """Where tasks run. This one, of a local run, leaves them as they are."""

    parallel_tasks = PARALLEL_JOBS

    @property
    def pretrain(self) -> Any:
        """The component that pretrains."""
        return pretrain

    def put(self, step: str, task: dsl.PipelineTask) -> dsl.PipelineTask:
        """Give the task of a step what it needs there."""
        return task


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptionalSteps:
    """Which steps a pipeline has beside those of every run.

    What a run has no use for is left out when its pipeline is built: branches taken at run time
    are not the same on every backend.

    Attributes:
        resolve: Whether text and start follow from a date that is known at run time only.
        export: Whether models are exported.
        promote: Whether the model may take the place of the accepted one.
    """

    resolve: bool = False
    export: bool = False
    promote: bool = False


def optional_steps(config: RunConfig, *, resolves: bool = False) -> OptionalSteps:
    """Return the optional steps of a configuration.

    Args:
        config: The run.
        resolves: Whether it is the run that finds out what follows from its date, if anything does.
    """
    return OptionalSteps(
        resolve=resolves and config.is_dated,
        export=bool(config.export.formats),
        promote=bool(config.retraining.accepted),
    )


_NO_MORE = OptionalSteps()


def build_pipeline(placement: Placement, more: OptionalSteps = _NO_MORE) -> Any:
    """Return the pipeline of all steps; its output is the report."""
    return _pipeline(_steps_on(placement, more))


def build_pipeline_with_summary(
    placement: Placement, defaults: Mapping[str, Any], more: OptionalSteps = _NO_MORE
) -> Any:
    """Return the pipeline of all steps and of a summary that is made however they end.

    Parameters are the same; there is no output, for kfp lets none out of an exit handler.

    Args:
        placement: Where its tasks run.
        defaults: Values of its parameters if a run gives no others.
        more: Which steps it has beside those of every run.
    """
    steps = _steps_on(placement, more)
    signature = inspect.signature(steps)

    def albert(*values: Any) -> None:
        given = signature.bind(*values).arguments
        ended = summarise_run(
            **{name: given[name] for name in ("title", "records", "jobs", "work_root")},
            more=[name for name, is_there in dataclasses.asdict(more).items() if is_there],
            run_name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER,
            run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        )
        with dsl.ExitHandler(placement.put("summary", ended), name="steps"):
            steps(*values)

    parameters = [
        parameter.replace(default=defaults.get(name, inspect.Parameter.empty))
        for name, parameter in signature.parameters.items()
    ]
    albert.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    albert.__doc__ = steps.__doc__
    return _pipeline(albert)


def _steps_on(placement: Placement, more: OptionalSteps) -> Callable[..., Any]:
    function: Any = functools.partial(_albert, placement, more)
    function.__name__, function.__doc__ = "albert", _albert.__doc__  # kfp asks for both
    return function


def _pipeline(function: Callable[..., Any]) -> Any:
    return dsl.pipeline(function, name="albert", description="Raw text in, a scored ALBERT out.")


def _albert(
    placement: Placement,
    more: OptionalSteps,
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
        placement: Where the tasks run.
        more: Which steps there are beside those.
        title: Name of the run.
        date: Its date; `components.resolve.dates.SCHEDULED_DATE` where a schedule sets it.
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
        accepted: The `components.promote.model_registry.AcceptedModel` to go on from; empty: none.
        work_root: Folder of work in progress, the same for every run that may resume another's.

    Returns:
        The report.
    """
    put, root = placement.put, {"work_root": work_root}
    if more.resolve:
        start = {"vocab": vocab, "pretraining": pretraining, "retraining": retraining}
        resolving = put("resolve", resolve(title=title, date=date, corpus=corpus, **start, **root))
        found = resolving.set_caching_options(False).outputs  # text and models come unnoticed
        title, date, corpus = found["title"], found["date"], found["corpus"]
        corpus_fingerprint, accepted = found["corpus_fingerprint"], found["accepted"]
        vocab, pretraining = found["vocab"], found["pretraining"]
    text = {"corpus": corpus, "corpus_fingerprint": corpus_fingerprint, **root}
    vocabulary = put("vocab", train_vocab(config=vocab, **text)).outputs["vocab"]
    with dsl.ParallelFor(items=records, parallelism=1, name="records") as records_job:
        making = make_records(
            cleaning=cleaning, job=records_job, beam=beam, vocab=vocabulary, **text
        )
        made = {"records": put("records", making).outputs["records"]}
    pretraining_task = placement.pretrain(
        model=model, config=pretraining, vocab=vocabulary, **_collected(made), **root
    )
    pretrained = put("pretrain", pretraining_task).outputs["pretrained"]
    with dsl.ParallelFor(items=jobs, parallelism=placement.parallel_tasks, name="tasks") as job:
        tuning = finetune(job=job, pretrained=pretrained, **root)
        tuned = put("finetune", tuning).outputs["finetuned"]
        scoring = evaluate(job=job, finetuned=tuned, **root)
        scored = {"evaluations": put("evaluate", scoring).outputs["evaluation"]}
    models = {"finetuned": tuned, **scored}
    outcomes: dict[str, Any] = {}
    if more.export:
        origins = {"vocab": vocabulary, "pretrained": pretrained, **_collected(made | models)}
        exporting = put("export", export_models(config=export, jobs=jobs, **origins, **root))
        outcomes["exported"] = exporting.outputs["exported"]
    if more.promote:
        run = {"title": title, "date": date, "retraining": retraining, "accepted": accepted}
        promoting = promote(pretrained=pretrained, **run, **_collected(scored), **root)
        if more.export:
            promoting.after(exporting)
        outcomes["promotion"] = put("promote", promoting).outputs["promotion"]
    lists = _collected(made | models)
    page = report(title=title, vocab=vocabulary, pretrained=pretrained, **lists, **outcomes, **root)
    return put("report", page).outputs["summary"]


def _collected(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Gather the outputs of loops as lists, anew for each use: kfp changes what it is given."""
    return {name: dsl.Collected(output) for name, output in outputs.items()}


albert_pipeline = build_pipeline(Placement())
"""The pipeline of a local run without optional steps."""
