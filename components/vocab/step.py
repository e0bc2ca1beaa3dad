"""Train ALBERT's SentencePiece vocabulary on a corpus."""

import dataclasses
import hashlib
import io
import itertools
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sentencepiece

from albert_core.corpus import (
    CorpusConfig,
    corpus_fingerprint,
    find_corpus_files,
    read_documents,
)
from albert_core.errors import InputError
from albert_core.runs.files import write_json
from albert_core.runs.manifest import Figures, Manifest
from albert_core.runs.progress import ReportProgress, quiet
from albert_core.runs.step import run_step
from albert_core.tokenization import SentencePieceTokenizer, Tokenizer, preprocess_text
from albert_core.tokenization.sentencepiece import (
    CONTROL_SYMBOLS,
    PAD_ID,
    UNKNOWN_ID,
    USER_DEFINED_SYMBOLS,
)

_REPORT_SENTENCES = 10_000
_NUM_THREADS = 2  # part of the result: other numbers of threads give other last digits


@dataclasses.dataclass(frozen=True, kw_only=True)
class VocabConfig:
    """How to train the vocabulary; the defaults are the original's but for `max_sentences`.

    Attributes:
        size: Number of pieces, special ones included.
        character_coverage: Share of the text's characters that get a piece.
        lower_case: Whether text is lower-cased, here and by every later use.
        max_sentences: Sentences to train on; a larger corpus is sampled by hash. Training takes
            about 7 kB of memory a sentence, 70 GB for the original's 10 million.
    """

    size: int = 30_000
    character_coverage: float = 0.99995
    lower_case: bool = True
    max_sentences: int = 1_000_000

    def __post_init__(self) -> None:
        smallest = 2 + len(CONTROL_SYMBOLS) + len(USER_DEFINED_SYMBOLS) + 1
        if self.size < smallest:
            raise InputError(
                f"vocab.size: got {self.size}, expected at least {smallest}, above the special "
                "pieces"
            )
        if not 0.9 <= self.character_coverage <= 1.0:
            raise InputError(
                f"vocab.character_coverage: got {self.character_coverage}, expected 0.9 to 1"
            )
        if self.max_sentences < 1:
            raise InputError(f"vocab.max_sentences: got {self.max_sentences}, expected 1 or more")


def train_vocab(
    *,
    corpus: CorpusConfig,
    config: VocabConfig,
    output: str | Path,
    work_root: str | Path | None = None,
    progress: ReportProgress = quiet,
) -> Manifest:
    """Train a vocabulary and publish spiece.model, spiece.vocab and a report to `output`.

    Args:
        corpus: The text.
        config: How to train.
        output: Folder to make.
        work_root: Folder of the work folders; beside `output` when not given.
        progress: Told what it is doing.

    Raises:
        InputError: The corpus is missing, empty or not UTF-8, or too small for the size.
    """

    def body(results: Path, _: Path) -> Figures:
        tokenizer = _train(corpus, config, progress)
        tokenizer.save(results)
        (results / "spiece.vocab").write_text(_vocabulary_table(tokenizer), encoding="utf-8")
        progress(0, 0, "describing the vocabulary")
        report = describe_vocabulary(tokenizer, corpus)
        write_json(results / "vocab_report.json", report)
        return {key: value for key, value in report.items() if key != "examples"}

    return run_step(
        "vocab",
        config=dataclasses.asdict(config),
        inputs={"corpus": corpus_fingerprint(corpus)},
        output=output,
        work_root=work_root,
        body=body,
    )


def _train(
    corpus: CorpusConfig, config: VocabConfig, progress: ReportProgress
) -> SentencePieceTokenizer:
    progress(0, 0, "counting sentences")
    num_sentences = sum(1 for _ in _corpus_sentences(corpus))
    if not num_sentences:
        raise InputError(f"corpus.files {', '.join(corpus.files)}: no text in any of the files")
    share = min(1.0, config.max_sentences / num_sentences)
    num_used = round(share * num_sentences)
    progress(0, 0, f"training {config.size:,} pieces on {num_used:,} sentences")
    sample = (
        text
        for sentence in _corpus_sentences(corpus)
        if (text := preprocess_text(sentence, lower_case=config.lower_case))
        and (share == 1.0 or _hash_share(text) < share)
    )
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.Train(
            sentence_iterator=sample,
            model_writer=model,
            model_type="unigram",
            vocab_size=config.size,
            character_coverage=config.character_coverage,
            pad_id=PAD_ID,
            unk_id=UNKNOWN_ID,
            bos_id=-1,
            eos_id=-1,
            control_symbols=list(CONTROL_SYMBOLS),
            user_defined_symbols=list(USER_DEFINED_SYMBOLS),
            # The sample is drawn above, the same on every run; shuffling would not be.
            shuffle_input_sentence=False,
            num_threads=_NUM_THREADS,
            minloglevel=1,
        )
    except RuntimeError as error:
        raise _bad_size(config.size, error) from error
    return SentencePieceTokenizer(model.getvalue(), lower_case=config.lower_case)


def _bad_size(size: int, error: RuntimeError) -> Exception:
    """Return the error of a vocabulary the text cannot give; any other error as it is."""
    largest = re.search(r"value <= (\d+)", str(error))
    if largest:
        remedy = f"at most {largest[1]}"
    elif re.search(r"smaller than required_chars|required_chars", str(error)):
        remedy = "more, to hold every character of the text"
    else:
        return error
    return InputError(f"vocab.size: got {size}, expected {remedy} for this corpus")


def _corpus_sentences(corpus: CorpusConfig) -> Iterator[str]:
    for path in find_corpus_files(corpus):
        for document in read_documents(path, corpus):
            yield from document


def _hash_share(text: str) -> float:
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2**64


def _vocabulary_table(tokenizer: SentencePieceTokenizer) -> str:
    lines = zip(tokenizer.pieces, tokenizer.scores(), strict=True)
    return "".join(f"{piece}\t{score:g}\n" for piece, score in lines)


def describe_vocabulary(tokenizer: Tokenizer, corpus: CorpusConfig) -> dict[str, Any]:
    """Return how a vocabulary fits a corpus, from the corpus's first sentences."""
    sentences = list(itertools.islice(_corpus_sentences(corpus), _REPORT_SENTENCES))
    encoded = tokenizer.encode_batch(sentences)
    num_words = sum(len(sentence.split()) for sentence in sentences)
    num_pieces = sum(map(len, encoded))
    num_unknown = sum(ids.count(tokenizer.special_ids.unknown) for ids in encoded)
    return {
        "vocab_size": len(tokenizer),
        "num_described_sentences": len(sentences),
        "pieces_per_word": round(num_pieces / num_words, 3),
        "characters_per_piece": round(sum(map(len, sentences)) / num_pieces, 2),
        "unknown_share": round(num_unknown / num_pieces, 6),
        "ascii_pieces": sum(set(piece) <= _ASCII for piece in tokenizer.pieces),
        "examples": [
            {"text": sentence, "pieces": tokenizer.tokenize(sentence)} for sentence in sentences[:5]
        ],
    }


_ASCII = frozenset(string.printable + "▁")
