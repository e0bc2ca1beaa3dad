"""Kubeflow component: train the vocabulary."""

from kfp import dsl

from components.image import component


@component("vocab")
def train_vocab(
    corpus: dict,
    config: dict,
    corpus_fingerprint: str,
    work_root: str,
    vocab: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Train a vocabulary, or copy `config.source`; `corpus_fingerprint` makes new text new work."""
    from albert_core.corpus import CorpusConfig
    from albert_core.settings import parse_settings
    from albert_core.tokenization.config import VocabConfig
    from components.artifacts import artifact_address, log_metrics
    from components.file_lists import read_lists
    from components.runtime import step_process
    from components.vocab.step import train_vocab

    output = artifact_address(vocab)
    with step_process("vocab", output=output, work_root=work_root) as progress:
        manifest = train_vocab(
            corpus=parse_settings(CorpusConfig, read_lists(corpus), source="corpus"),
            config=parse_settings(VocabConfig, config, source="vocab"),
            output=output,
            work_root=work_root,
            progress=progress,
        )
        log_metrics(metrics, manifest.metrics)
