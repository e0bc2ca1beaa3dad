"""The demo's task of words with tags, `docs-names`: which words of a sentence are names.

Names are the words that the documentation writes with a capital letter inside a sentence, such as
classes and constants. The task's sentences are in lower case, so that only their words tell.
"""

import itertools
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from albert_core.inference.words import split_words
from components.demo_data.docstrings import DocstringProse
from components.demo_data.tasks import document_digest, is_good_sentence

NAME_TAGS = ("O", "B-NAME", "I-NAME")

TaggedWords = list[tuple[str, str]]
"""The words of a sentence with their tags."""


def name_sentences(
    documents: Sequence[DocstringProse], *, max_sentences: int, seed: int
) -> list[TaggedWords]:
    """Return shuffled sentences with a name: from each document the first one that has any.

    If there are more than `max_sentences`, those with the smallest document hashes are taken. The
    seed decides hashes and order.
    """
    ranked = sorted(
        (document_digest(document, seed), tagged)
        for document in documents
        for tagged in itertools.islice(_with_names(document), 1)
    )
    sentences = [tagged for _, tagged in ranked[:max_sentences]]
    random.Random(seed).shuffle(sentences)
    return sentences


def _with_names(document: DocstringProse) -> Iterator[TaggedWords]:
    """Yield the sentences of a document that have a name and are neither short nor long."""
    for sentence in document.sentences:
        if is_good_sentence(sentence.text):
            tagged = tag_names(sentence.text)
            if any(tag != NAME_TAGS[0] for _, tag in tagged):
                yield tagged


def tag_names(text: str) -> TaggedWords:
    """Return the words of a sentence in lower case, each with its tag in IOB2.

    A name is a word with a capital letter first and any small letter; several in a row are one
    name. The first word, which always has a capital letter, is none.
    """
    outside, begin, inside = NAME_TAGS
    tagged: TaggedWords = []
    before = outside
    for start, end in split_words(text):
        word = text[start:end]
        is_name = bool(tagged) and word[0].isupper() and any(map(str.islower, word))
        tag = outside
        if is_name:
            tag = begin if before == outside else inside
        tagged.append((word.lower(), tag))
        before = tag
    return tagged


def write_name_task(
    folder: Path, train: Sequence[TaggedWords], dev: Sequence[TaggedWords]
) -> dict[str, int]:
    """Write the files of the task in CoNLL's columns, and its `task.yaml`; replace earlier ones.

    Args:
        folder: Made if missing; its name is the task's.
        train: The sentences of `train.conll`.
        dev: Sentences of `dev.conll`.

    Returns:
        `<task>_train_rows` and `<task>_dev_rows`, the numbers of sentences, with underscores in the
        task's name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, sentences in (("train", train), ("dev", dev)):
        text = "\n".join(
            "".join(f"{word} {tag}\n" for word, tag in sentence) for sentence in sentences
        )
        (folder / f"{name}.conll").write_bytes(text.encode())
    declaration = {
        "name": folder.name,
        "kind": "token_classification",
        "labels": list(NAME_TAGS),
        "metrics": ["f1", "precision", "recall", "accuracy"],
        "train": "train.conll",
        "dev": "dev.conll",
    }
    text = yaml.safe_dump(declaration, sort_keys=False, default_flow_style=None, width=100)
    (folder / "task.yaml").write_text(text, encoding="utf-8")
    prefix = folder.name.replace("-", "_")
    return {f"{prefix}_train_rows": len(train), f"{prefix}_dev_rows": len(dev)}
