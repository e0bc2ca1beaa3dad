"""Kubeflow component: make the pretraining records."""

from kfp import dsl

from components.image import component


@component("records")
def make_records(
    corpus: dict,
    cleaning: dict,
    job: dict,
    beam: dict,
    corpus_fingerprint: str,
    work_root: str,
    vocab: dsl.Input[dsl.Artifact],
    records: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Turn the corpus into TFRecord shards, as a `components.records.job.RecordsJob` says."""
    from albert_core.corpus import CorpusConfig
    from albert_core.corpus.cleaning import CleaningConfig
    from albert_core.settings import parse_settings
    from components.artifacts import artifact_address, log_metrics
    from components.file_lists import read_lists
    from components.records.job import RecordsJob
    from components.records.runners import BeamConfig
    from components.records.step import make_records
    from components.runtime import step_process

    settings = parse_settings(RecordsJob, job, source="records")
    output = artifact_address(records)
    with step_process(settings.step, output=output, work_root=work_root) as progress:
        manifest = make_records(
            corpus=parse_settings(CorpusConfig, read_lists(corpus), source="corpus"),
            vocab=artifact_address(vocab),
            cleaning=parse_settings(CleaningConfig, read_lists(cleaning), source="cleaning"),
            config=settings.records,
            beam=parse_settings(BeamConfig, beam, source="beam"),
            output=output,
            work_root=work_root,
            progress=progress,
        )
        log_metrics(metrics, manifest.metrics)
