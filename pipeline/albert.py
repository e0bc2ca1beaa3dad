"""The pipeline, as Kubeflow knows it."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from kfp import dsl

from components.evaluate.component import evaluate
from components.finetune.component import finetune
from components.pretrain.component import pretrain
from components.records.component import make_records
from components.report.component import report
from components.run_summary.component import summarise_run
from components.vocab.component import train_vocab

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


def build_pipeline(placement: Placement) -> Any:
    """Return the pipeline of all steps; its output is the report."""
    return _pipeline(_steps_on(placement))


def build_pipeline_with_summary(placement: Placement, defaults: Mapping[str, Any]) -> Any:
    """Return the pipeline of all steps and of a summary that is made however they end.

    Parameters are the same; there is no output, for kfp lets none out of an exit handler.

    Args:
        placement: Where its tasks run.
        defaults: Values of its parameters if a run gives no others.
    """
    steps = _steps_on(placement)
    signature = inspect.signature(steps)

    def albert(*values: Any) -> None:
        given = signature.bind(*values).arguments
        ended = summarise_run(
            **{name: given[name] for name in ("title", "records", "jobs", "work_root")},
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


def _steps_on(placement: Placement) -> Callable[..., Any]:
    function: Any = functools.partial(_albert, placement)
    function.__name__, function.__doc__ = "albert", _albert.__doc__  # kfp asks for both
    return function


def _pipeline(function: Callable[..., Any]) -> Any:
    return dsl.pipeline(function, name="albert", description="Raw text in, a scored ALBERT out.")


def _albert(
    placement: Placement,
    title: str,
    corpus: dict,
    corpus_fingerprint: str,
    cleaning: dict,
    vocab: dict,
    records: list,
    beam: dict,
    model: dict,
    pretraining: dict,
    jobs: list,
    work_root: str,
) -> dsl.Artifact:
    """Vocabulary, records, pretraining; fine-tuning and evaluation for each job; report.

    Args:
        placement: Where the tasks run.
        title: Name of the run.
        corpus: Settings of `albert_core.corpus.CorpusConfig`.
        corpus_fingerprint: Hash of the corpus: changed text is new work.
        cleaning: Settings of `albert_core.corpus.cleaning.CleaningConfig`.
        vocab: Settings of the vocabulary.
        records: One `components.records.job.RecordsJob` for each sequence length of a phase.
        beam: Settings of where the records are made.
        model: The architecture.
        pretraining: Settings of pretraining.
        jobs: One `components.finetune.job.TaskJob` for each task and initialisation.
        work_root: Folder of work in progress, the same for every run that may resume another's.

    Returns:
        The report.
    """
    put, root = placement.put, {"work_root": work_root}
    text = {"corpus": corpus, "corpus_fingerprint": corpus_fingerprint, **root}
    vocabulary = put("vocab", train_vocab(config=vocab, **text)).outputs["vocab"]
    with dsl.ParallelFor(items=records, parallelism=1, name="records") as records_job:
        making = make_records(
            cleaning=cleaning, job=records_job, beam=beam, vocab=vocabulary, **text
        )
        made = put("records", making).outputs["records"]
    collected = dsl.Collected(made)
    pretraining_task = placement.pretrain(
        model=model, config=pretraining, vocab=vocabulary, records=collected, **root
    )
    pretrained = put("pretrain", pretraining_task).outputs["pretrained"]
    with dsl.ParallelFor(items=jobs, parallelism=placement.parallel_tasks, name="tasks") as job:
        tuning = finetune(job=job, pretrained=pretrained, **root)
        tuned = put("finetune", tuning).outputs["finetuned"]
        scoring = evaluate(job=job, finetuned=tuned, **root)
        scored = put("evaluate", scoring).outputs["evaluation"]
    page = report(
        title=title,
        vocab=vocabulary,
        records=dsl.Collected(made),
        pretrained=pretrained,
        finetuned=dsl.Collected(tuned),
        evaluations=dsl.Collected(scored),
        **root,
    )
    return put("report", page).outputs["summary"]


albert_pipeline = build_pipeline(Placement())
"""The pipeline of a local run."""
