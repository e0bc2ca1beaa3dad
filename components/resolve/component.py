"""Kubeflow component: find out what a dated run reads."""

from typing import NamedTuple

from components.image import component


@component("data")
def resolve(
    date: str,
    title: str,
    corpus: dict,
    vocab: dict,
    pretraining: dict,
    retraining: dict,
) -> NamedTuple(  # type: ignore[valid-type]
    "Outputs",
    [
        ("date", str),
        ("title", str),
        ("corpus", dict),
        ("corpus_fingerprint", str),
        ("vocab", dict),
        ("pretraining", dict),
        ("accepted", dict),
    ],
):
    """Put the date into the settings and look up the accepted model."""
    import collections
    import dataclasses

    from albert_core.corpus import CorpusConfig
    from albert_core.pretraining.config import PretrainingConfig
    from albert_core.settings import parse_settings, plain_values
    from components.promote.config import RetrainingConfig
    from components.resolve.step import resolve
    from components.runtime import step_process
    from components.vocab.config import VocabConfig

    with step_process("resolve"):
        resolved = resolve(
            date=date,
            title=title,
            corpus=parse_settings(CorpusConfig, corpus, source="corpus"),
            vocab=parse_settings(VocabConfig, vocab, source="vocab"),
            pretraining=parse_settings(PretrainingConfig, pretraining, source="pretraining"),
            retraining=parse_settings(RetrainingConfig, retraining, source="retraining"),
        )
    values = plain_values(dataclasses.asdict(resolved))
    values.setdefault("accepted", {})
    return collections.namedtuple("Outputs", values)(**values)
