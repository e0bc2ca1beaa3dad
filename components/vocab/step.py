"""Train ALBERT's vocabulary on a corpus."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from albert_core.artifacts.inputs import input_folder
from albert_core.artifacts.manifest import Manifest, Metrics
from albert_core.artifacts.step import run_step
from albert_core.corpus import CorpusConfig, corpus_documents, corpus_fingerprint
from albert_core.errors import InputError
from albert_core.files import write_json
from albert_core.progress import ReportProgress, quiet
from albert_core.tokenization import SentencePieceTokenizer, Tokenizer, load_tokenizer
from albert_core.tokenization.config import VocabConfig
from albert_core.tokenization.training import train_tokenizer
from components.vocab.report import describe_vocabulary
from components.vocab.sample import sample_sentences

_REPORT_SENTENCES = 10_000
_MEMORY_PER_BYTE = 30  # of text: training took 22 for each at 5, 20 and 49 MB, the sample 2


def train_vocab(
    *,
    corpus: CorpusConfig,
    config: VocabConfig,
    output: str | Path,
    work_root: str | Path | None = None,
    progress: ReportProgress = quiet,
) -> Manifest:
    """Train a vocabulary, or take one, and publish it and a report on the corpus to `output`.

    Args:
        corpus: The text.
        config: How to train.
        output: Folder to make.
        work_root: Folder of the work folders; beside `output` when not given.
        progress: Told what it is doing.

    Raises:
        InputError: The corpus is missing, empty or not UTF-8, or too small for the size; or the
            vocabulary to take is missing or not as the settings say.
    """
    source = _source(config) if config.source else None

    def body(results: Path, _: Path) -> Metrics:
        progress(0, 0, "choosing sentences")
        sentences = sample_sentences(
            _corpus_sentences(corpus), max_bytes=int(config.memory_gb * 1e9 / _MEMORY_PER_BYTE)
        )
        if not sentences:
            raise InputError(f"corpus.files {', '.join(corpus.files)}: no text in any of the files")
        if not source:
            progress(0, 0, f"training {config.size:,} pieces on {len(sentences):,} sentences")
        tokenizer = source or train_tokenizer(sentences, config)
        tokenizer.save(results)
        if isinstance(tokenizer, SentencePieceTokenizer):
            (results / "spiece.vocab").write_text(_vocabulary_table(tokenizer), encoding="utf-8")
        progress(0, 0, "describing the vocabulary")
        report = {
            "num_training_sentences": 0 if source else len(sentences),
            **describe_vocabulary(tokenizer, sentences[:_REPORT_SENTENCES]),
        }
        write_json(results / "vocab_report.json", report)
        return {key: value for key, value in report.items() if key != "examples"}

    return run_step(
        "vocab",
        config=dataclasses.asdict(config),
        inputs={
            "corpus": corpus_fingerprint(corpus),
            **({"source": source.content_hash()} if source else {}),
        },
        output=output,
        work_root=work_root,
        body=body,
    )


def _source(config: VocabConfig) -> Tokenizer:
    """Return the vocabulary to take, refusing settings it does not have."""
    tokenizer = load_tokenizer(input_folder(config.source))
    is_sentencepiece = isinstance(tokenizer, SentencePieceTokenizer)
    found = {
        "kind": "sentencepiece" if is_sentencepiece else "wordpiece",
        "size": len(tokenizer),
        "lower_case": tokenizer.lower_case,
    }
    for name, value in found.items():
        if getattr(config, name) != value:
            raise InputError(
                f"vocab.{name}: got {getattr(config, name)}, expected {value}, as the vocabulary "
                f"at vocab.source {config.source} has it"
            )
    return tokenizer


def _corpus_sentences(corpus: CorpusConfig) -> Iterator[str]:
    for document in corpus_documents(corpus):
        yield from document


def _vocabulary_table(tokenizer: SentencePieceTokenizer) -> str:
    lines = zip(tokenizer.pieces, tokenizer.scores(), strict=True)
    return "".join(f"{piece}\t{score:g}\n" for piece, score in lines)
