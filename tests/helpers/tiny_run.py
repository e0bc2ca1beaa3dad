"""A run small enough for tests: a made-up language, a very small model, two tasks.

The language has a grammar a model can learn: nouns of a topic go with verbs of the same topic,
and a document keeps to its topic.
"""

import csv
import gzip
import io
import random
from collections.abc import Sequence
from pathlib import Path

import yaml

TOPICS = {
    "sea": (["ship", "wave", "harbour", "sailor"], ["sails", "drifts", "floats", "sinks"]),
    "farm": (["cow", "field", "farmer", "barn"], ["grazes", "ripens", "ploughs", "stands"]),
    "town": (["tram", "market", "mayor", "street"], ["rings", "opens", "speaks", "turns"]),
}
ADVERBS = ["slowly", "again", "today", "alone", "at last", "before noon", "in the rain"]

TINY_CONFIG = {
    "title": "tiny",
    "vocab": {"size": 60},
    "records": {"sequence_length": 24, "held_out_fraction": 0.1, "num_shards": 2},
    "model": {
        "preset": "tiny",
        "overrides": {
            "hidden_size": 32,
            "intermediate_size": 64,
            "embedding_size": 16,
            "num_hidden_layers": 1,
            "initializer_range": 0.1,
        },
    },
    "pretraining": {
        "optimizer": "adamw",
        "learning_rate": 0.003,
        "num_train_steps": 400,
        "num_warmup_steps": 20,
        "batch_size": 16,
        "evaluation_interval_steps": 50,
    },
    "finetuning": {
        "learning_rate": 0.003,
        "num_epochs": 4,
        "batch_size": 16,
        # Shorter than the texts: all batches have one length, which TensorFlow traces once.
        "sequence_length": 16,
        "num_evaluations": 4,
    },
}


def sentence(topic: str, rng: random.Random) -> str:
    nouns, verbs = TOPICS[topic]
    return f"The {rng.choice(nouns)} {rng.choice(verbs)} {rng.choice(ADVERBS)}."


def write_corpus(folder: Path, *, num_documents: int = 300, seed: int = 1) -> Path:
    rng = random.Random(seed)
    documents = []
    for _ in range(num_documents):
        topic = rng.choice(list(TOPICS))
        documents.append([sentence(topic, rng) for _ in range(rng.randint(2, 8))])
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n\n".join("\n".join(document) for document in documents)
    (folder / "text.txt").write_text(text + "\n", encoding="utf-8")
    return folder


def write_tasks(folder: Path) -> Path:
    """CoLA's layout with made-up judgements, and a task that declares itself."""
    rng = random.Random(2)
    cola = folder / "CoLA"
    cola.mkdir(parents=True)
    for split, num_rows in (("train", 240), ("dev", 60)):
        rows = [_cola_row(rng) for _ in range(num_rows)]
        (cola / f"{split}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    test = ["index\tsentence", *(f"{n}\t{sentence('sea', rng)}" for n in range(5))]
    (cola / "test.tsv").write_text("\n".join(test) + "\n", encoding="utf-8")
    _write_topic_task(folder / "topic", rng)
    return folder


def _cola_row(rng: random.Random) -> str:
    text = sentence(rng.choice(list(TOPICS)), rng)
    is_good = rng.random() < 0.7
    if not is_good:
        text = " ".join(reversed(text.split()))
    return f"made\t{int(is_good)}\t\t{text}"


def _write_topic_task(folder: Path, rng: random.Random) -> None:
    folder.mkdir()
    _declare(folder, name="topic", texts=[0], label=1, labels=list(TOPICS), metrics=["accuracy"])
    for split, num_rows in (("train", 240), ("dev", 60)):
        topics = [rng.choice(list(TOPICS)) for _ in range(num_rows)]
        rows = ["sentence\tlabel", *(f"{sentence(topic, rng)}\t{topic}" for topic in topics)]
        (folder / f"{split}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def write_as_people_have_them(folder: Path) -> None:
    """Make the topic task a compressed CSV without dev set and labels, and add one in CoNLL's form.

    Args:
        folder: The folder of `write_tasks`; it gets the task `things`, whose test file has no tags.
    """
    topic = folder / "topic"
    rows = [line.split("\t") for line in (topic / "train.tsv").read_text().splitlines()]
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    (topic / "train.csv.gz").write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
    for split in ("train", "dev"):
        (topic / f"{split}.tsv").unlink()
    _declare(topic, name="topic", texts=["sentence"], metrics=["accuracy"])
    things = folder / "things"
    things.mkdir()
    _declare(things, name="things", kind="token_classification", metrics=["f1"])
    nouns = {noun for nouns, _ in TOPICS.values() for noun in nouns}
    sentences = [[(w, "B-A" if w in nouns else "O") for w in row[0].split()] for row in rows[1:]]
    _write_conll(things / "train.conll", sentences)
    _write_conll(things / "test.conll", [[(word,) for word, _ in one] for one in sentences[:5]])


def _declare(folder: Path, **declaration: object) -> None:
    (folder / "task.yaml").write_text(yaml.safe_dump(declaration), encoding="utf-8")


def _write_conll(path: Path, sentences: Sequence[Sequence[Sequence[str]]]) -> None:
    lines = ["\n".join(map(" ".join, sentence)) for sentence in sentences]
    path.write_text("\n\n".join(lines) + "\n", encoding="utf-8")


def write_tiny_run(folder: Path, **changes: object) -> Path:
    """Write corpus, tasks and configuration below a folder; return the configuration's path."""
    values = {
        **TINY_CONFIG,
        "corpus": {"files": [str(write_corpus(folder / "corpus"))]},
        "data_dir": str(write_tasks(folder / "glue")),
        "tasks": ["topic"],
        **changes,
    }
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return path
