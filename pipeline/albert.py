"""The pipeline, as Kubeflow knows it."""

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


def _steps_on(placement: Placement) -> Callable[..., dsl.Artifact]:
    """Return the function of all steps, with its tasks placed."""
    put = placement.put

    def albert(
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
        text = {"corpus": corpus, "corpus_fingerprint": corpus_fingerprint, "work_root": work_root}
        vocabulary = put("vocab", train_vocab(config=vocab, **text)).outputs["vocab"]
        with dsl.ParallelFor(items=records, parallelism=1, name="records") as records_job:
            making = make_records(
                cleaning=cleaning, job=records_job, beam=beam, vocab=vocabulary, **text
            )
            made = put("records", making).outputs["records"]
        pretraining_task = placement.pretrain(
            model=model,
            config=pretraining,
            vocab=vocabulary,
            records=dsl.Collected(made),
            work_root=work_root,
        )
        pretrained = put("pretrain", pretraining_task).outputs["pretrained"]
        with dsl.ParallelFor(items=jobs, parallelism=placement.parallel_tasks, name="tasks") as job:
            tuning = finetune(job=job, pretrained=pretrained, work_root=work_root)
            tuned = put("finetune", tuning).outputs["finetuned"]
            scoring = evaluate(job=job, finetuned=tuned, work_root=work_root)
            scored = put("evaluate", scoring).outputs["evaluation"]
        page = report(
            title=title,
            vocab=vocabulary,
            records=dsl.Collected(made),
            pretrained=pretrained,
            finetuned=dsl.Collected(tuned),
            evaluations=dsl.Collected(scored),
            work_root=work_root,
        )
        return put("report", page).outputs["summary"]

    return albert


def _with_summary(
    steps: Callable[..., dsl.Artifact], placement: Placement, defaults: Mapping[str, Any]
) -> Callable[..., None]:
    """Return the function of all steps and of a summary that is made however they end.

    Parameters are the same, with defaults; kfp lets no output out of an exit handler.
    """
    signature = inspect.signature(steps)

    def albert(*values: Any) -> None:
        given = signature.bind(*values).arguments
        ended = summarise_run(
            **{name: given[name] for name in ("title", "records", "jobs", "work_root")},
            run=dsl.PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER,
            run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        )
        with dsl.ExitHandler(placement.put("summary", ended), name="steps"):
            steps(*values)

    albert.__doc__ = steps.__doc__
    parameters = [
        parameter.replace(default=defaults.get(name, inspect.Parameter.empty))
        for name, parameter in signature.parameters.items()
    ]
    albert.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return albert


def _pipeline(steps: Callable[..., Any]) -> Any:
    described = dsl.pipeline(name="albert", description="Raw text in, a scored ALBERT out.")
    return described(steps)


def placed_pipeline(placement: Placement, defaults: Mapping[str, Any]) -> Any:
    """Return the pipeline of a target, which ends with a summary whatever happens.

    Args:
        placement: Where its tasks run.
        defaults: Values of its parameters if a run gives no others.
    """
    return _pipeline(_with_summary(_steps_on(placement), placement, defaults))


albert_pipeline = _pipeline(_steps_on(Placement()))
"""The pipeline of a local run; its output is the report."""
