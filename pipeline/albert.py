"""The pipeline, as Kubeflow knows it."""

from kfp import dsl

from components.evaluate.component import evaluate
from components.finetune.component import finetune
from components.pretrain.component import pretrain
from components.records.component import make_records
from components.report.component import report
from components.vocab.component import train_vocab

PARALLEL_JOBS = 2  # kfp's local runner never has more at work


@dsl.pipeline(name="albert", description="Raw text in, a scored ALBERT out.")
def albert_pipeline(
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
    vocabulary = train_vocab(config=vocab, **text).outputs["vocab"]
    with dsl.ParallelFor(items=records, parallelism=1, name="records") as records_job:
        made = make_records(cleaning=cleaning, job=records_job, beam=beam, vocab=vocabulary, **text)
    model_task = pretrain(
        model=model,
        config=pretraining,
        vocab=vocabulary,
        records=dsl.Collected(made.outputs["records"]),
        work_root=work_root,
    )
    pretrained = model_task.outputs["pretrained"]
    with dsl.ParallelFor(items=jobs, parallelism=PARALLEL_JOBS, name="tasks") as job:
        tuned = finetune(job=job, pretrained=pretrained, work_root=work_root)
        scored = evaluate(job=job, finetuned=tuned.outputs["finetuned"], work_root=work_root)
    page = report(
        title=title,
        vocab=vocabulary,
        records=dsl.Collected(made.outputs["records"]),
        pretrained=pretrained,
        finetuned=dsl.Collected(tuned.outputs["finetuned"]),
        evaluations=dsl.Collected(scored.outputs["evaluation"]),
        work_root=work_root,
    )
    return page.outputs["summary"]
