"""Classifiers with random weights, and texts to ask them about, for benchmarks of the server.

Texts and vocabulary come from the language reference that every Python has in `pydoc_data`.
"""

import dataclasses
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import numpy as np

from albert_core.exports.formats import ExportFormat

SHAPES: dict[str, dict[str, Any]] = {
    "base": {"name": "base_v2"},
    "small": {  # as in pipeline/configs/small.yaml
        "name": "small",
        "hidden_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 1024,
    },
}
FORMATS: tuple[ExportFormat, ...] = ("keras", "onnx", "onnx_int8", "huggingface")
SEQUENCE_LENGTH = 384
VOCAB_SIZE = 3_000
NUM_TEXTS = 512
# Mean and deviation of the words of a text, such that sequences are about as long as those of
# SST-2's training set and as the windows of SQuAD's dev set with the released vocabulary.
WORDS = {"short": (8.0, 6.0), "long": (110.0, 42.0)}


def make_models(folder: Path, shape: str) -> None:
    """Write a classifier of two labels into `folder`, in a folder named as each of `FORMATS`."""
    from albert_core.checkpoints import Checkpoint
    from albert_core.exports.formats import write_format
    from albert_core.finetuning.config import FinetuningConfig
    from albert_core.finetuning.models import new_task_model
    from albert_core.model.weights import as_arrays, weights_by_name
    from albert_core.presets import preset
    from albert_core.tasks import TASKS
    from albert_core.tokenization import load_tokenizer

    folder.mkdir(parents=True, exist_ok=True)
    task = TASKS["sst-2"]
    settings = FinetuningConfig(sequence_length=SEQUENCE_LENGTH, pooling="pooler")
    config = preset(vocab_size=VOCAB_SIZE, **SHAPES[shape])
    checkpoint = Checkpoint(
        config=config,
        weights=as_arrays(weights_by_name(new_task_model(task, settings, config))),
        source="random weights",
        tokenizer=load_tokenizer(make_vocabulary(folder)),
        task=dataclasses.asdict(task),
        finetuning=dataclasses.asdict(settings),
        labels=task.labels,
    )
    for name in FORMATS:
        write_format(checkpoint, folder / name, to=name)


def make_vocabulary(folder: Path) -> Path:
    """Train a vocabulary on the language reference; return its folder."""
    from albert_core.corpus.config import CorpusConfig
    from albert_core.tokenization.config import VocabConfig
    from components.vocab.step import train_vocab

    corpus = folder / "corpus.txt"
    corpus.write_text("\n\n".join(topics.values()), encoding="utf-8")
    train_vocab(
        corpus=CorpusConfig(files=(str(corpus),), format="running_text"),
        config=VocabConfig(size=VOCAB_SIZE),
        output=folder / "vocab",
    )
    return folder / "vocab"


def make_texts(kind: str) -> list[str]:
    """Return different texts of the language reference, `short` or `long`, the same every time."""
    words = [
        word for word in " ".join(topics[name] for name in sorted(topics)).split() if word.isalpha()
    ]
    mean, deviation = WORDS[kind]
    k = (mean / deviation) ** 2
    rng = np.random.default_rng(0)
    counts = rng.gamma(k, mean / k, NUM_TEXTS).round().clip(1, 2.5 * mean).astype(int)
    begins = rng.integers(0, len(words) - counts)
    return [" ".join(words[b : b + n]) for b, n in zip(begins, counts, strict=True)]


def make_sequences(folder: Path, kind: str) -> list[list[int]]:
    """Return the tokens of the texts, cut as the server does; `folder` is that of `make_models`."""
    from albert_core.tokenization import load_tokenizer

    tokenizer = load_tokenizer(folder / "vocab")
    special = tokenizer.special_ids
    room = SEQUENCE_LENGTH - 2
    return [
        [special.cls, *ids[:room], special.sep] for ids in tokenizer.encode_batch(make_texts(kind))
    ]
