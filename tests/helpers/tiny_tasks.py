"""A task of every kind, small enough for tests, and an untrained model for them.

What is asked can be learned by a small model in a few seconds: which topic a sentence is about,
how often the sea is mentioned, which sentence the text holds, where the whale is, which words say
what does what when.
"""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import safetensors.numpy

from albert_core.checkpoints import Checkpoint, save_folder
from albert_core.corpus import CorpusConfig
from albert_core.finetuning.config import FinetuningConfig
from albert_core.model import AlbertForPreTraining
from albert_core.model.weights import as_arrays, weights_by_name
from albert_core.presets import preset
from albert_core.tasks import Source, Task
from albert_core.tokenization import load_tokenizer
from albert_core.tokenization.config import VocabConfig
from components.vocab.step import train_vocab
from tests.helpers.tiny_run import TINY_CONFIG, TOPICS, sentence

SHORT = 16  # tokens that a task's texts may be cut to, so that all batches have one length
WHOLE = 48  # tokens that no text is longer than

NUM_TRAIN, NUM_DEV = 240, 60
JSONL = {"train": (Source(file="train.jsonl"),), "dev": (Source(file="dev.jsonl"),)}
JSON = {"train": (Source(file="train.json"),), "dev": (Source(file="dev.json"),)}

TINY_TASKS = {
    "topic": Task(
        name="topic",
        **JSONL,
        test=(Source(file="test.jsonl", is_labelled=False, id="id", submission="Topic.tsv"),),
        texts=("text",),
        labels=tuple(TOPICS),
        metrics=("accuracy",),
    ),
    "sea": Task(
        name="sea",
        kind="regression",
        **JSONL,
        texts=("first", "second"),
        metrics=("pearson", "spearman"),
        combined=("pearson", "spearman"),
    ),
    "held": Task(
        name="held",
        kind="multiple_choice",
        **JSONL,
        texts=("text", "choices"),
        metrics=("accuracy",),
    ),
    "whale": Task(name="whale", kind="question_answering", **JSON, metrics=("f1", "exact")),
    "no-whale": Task(
        name="no-whale",
        kind="question_answering",
        **JSON,
        metrics=("f1", "exact"),
        has_unanswerable=True,
    ),
    "roles": Task(
        name="roles",
        kind="token_classification",
        train=(Source(file="train.conll"),),
        dev=(Source(file="dev.conll"),),
        labels=("O", "B-THING", "B-ACT", "B-WHEN", "I-WHEN"),
        metrics=("f1", "precision", "recall", "macro_f1", "accuracy"),
    ),
}


def write_tiny_tasks(folder: Path) -> Path:
    """Write the files of every task below a folder."""
    rng = random.Random(3)
    makers: dict[str, Callable[[random.Random, int], dict[str, Any]]] = {
        "topic": _topic_row,
        "sea": _sea_row,
        "held": _held_row,
    }
    for name, make in makers.items():
        (folder / name).mkdir(parents=True)
        for split, count in (("train", NUM_TRAIN), ("dev", NUM_DEV), ("test", 7)):
            rows = [make(rng, number) for number in range(count)]
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (folder / name / f"{split}.jsonl").write_text(text, encoding="utf-8")
    for name, share in (("whale", 0.0), ("no-whale", 0.4)):
        (folder / name).mkdir()
        for split, count in (("train", NUM_TRAIN), ("dev", NUM_DEV)):
            data = squad_file([_whale_paragraph(rng, n, share) for n in range(count)])
            (folder / name / f"{split}.json").write_text(json.dumps(data), encoding="utf-8")
    (folder / "roles").mkdir()
    for split, count in (("train", NUM_TRAIN), ("dev", NUM_DEV)):
        text = "-DOCSTART- O\n\n" + "\n".join(_tagged_sentence(rng) for _ in range(count))
        (folder / "roles" / f"{split}.conll").write_text(text, encoding="utf-8")
    return folder


def _tagged_sentence(rng: random.Random) -> str:
    the, noun, verb, *when = sentence(rng.choice(list(TOPICS)), rng).rstrip(".").split()
    tags = ["O", "B-THING", "B-ACT", "B-WHEN", *["I-WHEN"] * (len(when) - 1), "O"]
    words = [the, noun, verb, *when, "."]
    return "".join(f"{word} {tag}\n" for word, tag in zip(words, tags, strict=True))


def squad_file(paragraphs: list[dict[str, Any]]) -> dict[str, Any]:
    return {"version": "tiny", "data": [{"title": "tiny", "paragraphs": paragraphs}]}


def _topic_row(rng: random.Random, number: int) -> dict[str, Any]:
    topic = rng.choice(list(TOPICS))
    return {"id": 100 + number, "text": sentence(topic, rng), "label": topic}


def _sea_row(rng: random.Random, number: int) -> dict[str, Any]:
    topics = [rng.choice(["sea", "town"]) for _ in range(2)]
    first, second = (sentence(topic, rng) for topic in topics)
    return {"first": first, "second": second, "label": topics.count("sea")}


def _held_row(rng: random.Random, number: int) -> dict[str, Any]:
    topics = rng.sample(list(TOPICS), 3)
    right = rng.randrange(3)
    choices = [sentence(topic, rng) for topic in topics]
    text = f"{choices[right]} {sentence(topics[right], rng)}"
    return {"text": text, "choices": choices, "label": right}


def _whale_paragraph(rng: random.Random, number: int, share_without: float) -> dict[str, Any]:
    words = " ".join(sentence(rng.choice(list(TOPICS)), rng) for _ in range(2)).split()
    question: dict[str, Any] = {"id": f"q{number}", "question": "Where is it?", "answers": []}
    if rng.random() < share_without:
        question["is_impossible"] = True
    else:
        words.insert(rng.randrange(1, len(words)), "WHALE")
        start = " ".join(words).index("WHALE")
        question["answers"] = [{"text": "WHALE", "answer_start": start}]
    return {"context": " ".join(words), "qas": [question]}


def write_tiny_model(folder: Path, **overrides: Any) -> Path:
    """Write an untrained model with a vocabulary of the tasks' language; return its folder.

    Args:
        folder: Folder to make.
        **overrides: What differs in its architecture from that of the tiny run.
    """
    rng = random.Random(5)
    lines = [sentence(rng.choice(list(TOPICS)), rng) for _ in range(300)] + [
        "Where is it? whale"
    ] * 40
    folder.mkdir(parents=True)
    (folder / "corpus.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    corpus = CorpusConfig(files=(str(folder / "corpus.txt"),))
    train_vocab(corpus=corpus, config=VocabConfig(size=64), output=folder / "vocab")
    tokenizer = load_tokenizer(folder / "vocab")
    keras.utils.set_random_seed(1)
    architecture = {**TINY_CONFIG["model"]["overrides"], **overrides}
    config = preset("tiny", vocab_size=len(tokenizer), **architecture)
    model = AlbertForPreTraining(config)
    checkpoint = Checkpoint(
        config=config,
        weights=as_arrays(weights_by_name(model)),
        source="memory",
        tokenizer=tokenizer,
    )
    (folder / "model").mkdir()
    save_folder(checkpoint, folder / "model")
    return folder / "model"


def tiny_finetuning(**settings: Any) -> FinetuningConfig:
    defaults = {
        "learning_rate": 0.003,
        "num_train_steps": 30,
        "batch_size": 16,
        "sequence_length": 48,
        "num_evaluations": 2,
    }
    return FinetuningConfig(**{**defaults, **settings})


def rows_of(tasks: Path, name: str, split: str = "train") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tasks / name / f"{split}.jsonl").read_text().splitlines()]


def weights_of(folder: Path) -> dict[str, np.ndarray]:
    return safetensors.numpy.load_file(folder / "model.safetensors")
