"""Train ALBERT's vocabulary on a corpus."""

import dataclasses
import gc
from collections.abc import Iterator
from pathlib import Path

from albert_core.artifacts.inputs import input_folder
from albert_core.artifacts.manifest import Manifest, Metrics
from albert_core.artifacts.step import run_step, work_fingerprint
from albert_core.corpus import (
    CorpusConfig,
    CorpusFiles,
    ReadCounts,
    corpus_documents,
    corpus_fingerprint,
    list_corpus,
)
from albert_core.errors import InputError
from albert_core.files.atomic import write_json
from albert_core.progress import ReportProgress, quiet, report_message
from albert_core.tokenization import TOKENIZER_KINDS, Tokenizer, load_tokenizer
from albert_core.tokenization.config import VocabConfig
from components.vocab.report import describe_irregularities, describe_vocabulary
from components.vocab.sample import drained, sample_sentences, write_examples
from components.vocab.sample_size import SampleSize, choose_sample_size

_REPORT_SENTENCES = 10_000
_SEPARATOR = "\0"  # in no sentence, as control characters are removed


def train_vocab(
    *,
    corpus: CorpusConfig,
    config: VocabConfig,
    output: str | Path,
    work_root: str | Path | None = None,
    progress: ReportProgress = quiet,
) -> Manifest:
    """Train a vocabulary, or copy `config.source`, and publish it with a report to `output`.

    If `output` already holds this work, nothing is run. Where a vocabulary is copied, too, the
    corpus is read, for the report and for example sentences, which lie beside the vocabulary.

    Args:
        corpus: The text to train on; the report describes how the vocabulary fits it.
        config: How to train.
        output: Folder to make, local, gs:// or s3://.
        work_root: Folder of the work folders; beside `output` when not given.
        progress: Called with messages about the work.

    Returns:
        The manifest of `output`, with the report, without its examples, as metrics.

    Raises:
        InputError: The corpus is missing, empty or not UTF-8, or too small for the size; or
            `config.source` is missing, or the settings differ from it; or `output` holds something
            else.
        StepFailedError: Another process has taken over this work.
        ServiceError: The storage failed.
    """
    source = load_source(config) if config.source else None
    listed = list_corpus(corpus)
    corpus = dataclasses.replace(corpus, format=listed.format)
    settings = {**dataclasses.asdict(config), "language": corpus.language}
    inputs = {
        "corpus": corpus_fingerprint(corpus),
        **({"source": source.content_hash()} if source else {}),
    }

    def write_vocabulary(results: Path, progress_folder: Path) -> Metrics:
        """Train or take the vocabulary, write it and its report into `results`; return the metrics.

        Trained on the sentences with the smallest hashes, as many as `config.memory_gb` allows; the
        report describes some of them, and some are written as examples.

        Raises:
            InputError: No file has text, the vocabulary cannot be trained on it, or the memory for
                that is not free.
        """
        for note in filter(None, (listed.format_note, listed.left_out_note)):
            report_message(progress, note)
        report_message(progress, "choosing sentences")
        work = work_fingerprint("vocab", settings, inputs)
        size = choose_sample_size(config, progress_folder, work=work)
        sentences = _CountedSentences(corpus)
        sample = sample_sentences(size.refusing(sentences), max_bytes=size.max_bytes)
        if not (num_sampled := len(sample)):
            raise InputError(f"corpus.files {', '.join(corpus.files)}: no text in any of the files")
        # In one piece: sentences that stay among those that are freed would keep their memory.
        described = _SEPARATOR.join(sample[:_REPORT_SENTENCES])
        gc.collect()  # likewise for the tuples that Python keeps for later: this drops them
        write_examples(sample, results)
        if not source:
            if num_sampled < sentences.count:
                report_message(progress, size.describe(num_sampled, sentences.count))
            report_message(
                progress, f"training {config.size:,} pieces on {num_sampled:,} sentences"
            )
        tokenizer = source or _train(sample, config, size)
        _write_vocabulary(tokenizer, results)
        report_message(progress, "describing the vocabulary")
        irregularities = _count_irregularities(listed, sentences, num_sampled, tokenizer)
        if irregularities:
            report_message(progress, describe_irregularities(irregularities))
        report = {
            "num_training_sentences": 0 if source else num_sampled,
            "irregularities": irregularities,
            **describe_vocabulary(tokenizer, described.split(_SEPARATOR)),
        }
        write_json(results / "vocab_report.json", report)
        if not source:
            # Not in the report's file: a size with room for all text must not change the results.
            report["memory_gb"] = size.memory_gb
        return {key: value for key, value in report.items() if key != "examples"}

    return run_step(
        "vocab",
        config=settings,
        inputs=inputs,
        output=output,
        work_root=work_root,
        body=write_vocabulary,
    )


def load_source(config: VocabConfig) -> Tokenizer:
    """Load the vocabulary of `config.source`.

    Raises:
        InputError: It is missing or unusable, or its kind, its size, or what it does with case or
            accents differs from the settings.
        ServiceError: The storage failed.
    """
    tokenizer = load_tokenizer(input_folder(config.source))
    settings = {
        "kind": tokenizer.kind,
        "size": len(tokenizer),
        "lower_case": tokenizer.lower_case,
        "strip_accents": tokenizer.strip_accents,
    }
    for name, value in settings.items():
        if getattr(config, name) != value:
            raise InputError(
                f"vocab.{name}: got {getattr(config, name)}, expected {value}, as the vocabulary "
                f"at vocab.source {config.source} has it"
            )
    return tokenizer


class _CountedSentences:
    """The sentences of a corpus, to be read once.

    Attributes:
        count: The number of those read so far. Whole documents are counted, before their sentences
            are given out.
        reading: What was found out of order in reading them so far.
    """

    def __init__(self, corpus: CorpusConfig) -> None:
        self.count = 0
        self.reading = ReadCounts()
        self._documents = corpus_documents(corpus, self.reading)

    def __iter__(self) -> Iterator[str]:
        for document in self._documents:
            self.count += len(document)
            yield from document


def _count_irregularities(
    listed: CorpusFiles, sentences: _CountedSentences, num_sampled: int, tokenizer: Tokenizer
) -> dict[str, int]:
    """Return what was left out or out of order in the corpus, by name; without what is 0.

    Args:
        listed: The files of the corpus.
        sentences: Its sentences, all of which were read.
        num_sampled: How many of them were sampled.
        tokenizer: The vocabulary, with the counts of its training.
    """
    counts = {
        "num_left_out_files": sum(map(len, listed.left_out.values())),
        "num_sentences_not_sampled": sentences.count - num_sampled,
        **dataclasses.asdict(sentences.reading),
        **dataclasses.asdict(tokenizer.training_counts),
    }
    return {name: count for name, count in counts.items() if count}


def _train(sample: list[str], config: VocabConfig, size: SampleSize) -> Tokenizer:
    """Return a tokenizer of the configured kind, trained on a sample, which is empty afterwards.

    Args:
        sample: The sentences.
        config: Kind, size and treatment of the text.
        size: How the size of the sample was chosen, for the message.

    Raises:
        InputError: The text is too little for the size, or has too many characters; or the memory
            ran out.
    """
    num_bytes = sum(len(sentence.encode()) for sentence in sample)
    try:
        return TOKENIZER_KINDS[config.kind].train(
            drained(sample),
            size=config.size,
            character_coverage=config.character_coverage,
            lower_case=config.lower_case,
            strip_accents=config.strip_accents,
        )
    except MemoryError as error:
        raise size.out_of_memory(num_bytes) from error


def _write_vocabulary(tokenizer: Tokenizer, folder: Path) -> None:
    """Write a tokenizer's files into an existing folder.

    If its kind has scores, a `.vocab` file with its pieces and their scores is added.
    """
    tokenizer.save(folder)
    if table := tokenizer.score_table():
        path = (folder / tokenizer.file_name).with_suffix(".vocab")
        path.write_text(table, encoding="utf-8")
