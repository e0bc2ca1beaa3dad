"""Kubeflow component: resolve the settings of a dated run."""

from typing import NamedTuple

from kfp import dsl

from components.image import component


@component("resolve")
def resolve(
    date: str,
    title: str,
    corpus: dict,
    vocab: dict,
    pretraining: dict,
    retraining: dict,
    work_root: str,
    resolved: dsl.Output[dsl.Artifact],
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
    """Fill the date into the settings and look up the accepted model."""
    import collections
    import dataclasses
    import json

    from albert_core.corpus import CorpusConfig
    from albert_core.pretraining.config import PretrainingConfig
    from albert_core.settings import parse_settings, plain_values
    from albert_core.storage import join, write_bytes
    from albert_core.tokenization.config import VocabConfig
    from components.artifacts import artifact_address
    from components.promote.config import RetrainingConfig
    from components.resolve.step import RESOLVED_NAME, resolve
    from components.runtime import step_process

    output = artifact_address(resolved)
    with step_process("resolve", output=output, work_root=work_root):
        settings = resolve(
            date=date,
            title=title,
            corpus=parse_settings(CorpusConfig, corpus, source="corpus"),
            vocab=parse_settings(VocabConfig, vocab, source="vocab"),
            pretraining=parse_settings(PretrainingConfig, pretraining, source="pretraining"),
            retraining=parse_settings(RetrainingConfig, retraining, source="retraining"),
        )
        values = {"accepted": {}, **plain_values(dataclasses.asdict(settings))}
        write_bytes(join(output, RESOLVED_NAME), json.dumps(values, indent=2).encode())
    return collections.namedtuple("Outputs", values)(**values)
