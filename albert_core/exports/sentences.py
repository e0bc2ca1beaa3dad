"""Real sentences as batches of a model's inputs: texts, pairs, questions, choices, words.

Shape suffixes: B batch, S sequence, P predictions.
"""

import importlib.resources
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from albert_core.checkpoints.checkpoint import Checkpoint
from albert_core.checkpoints.proof import group_sequences, random_batch
from albert_core.errors import InputError
from albert_core.finetuning.batches import answer_mask, pad_inputs
from albert_core.finetuning.features import Features, make_features
from albert_core.finetuning.question_features import make_question_features
from albert_core.finetuning.token_features import make_token_features
from albert_core.model_function import ModelInputs
from albert_core.pooling import POOLINGS
from albert_core.storage import read_bytes
from albert_core.tasks import Example, Question, TaggedSentence
from albert_core.tokenization import Tokenizer

SENTENCES_NAME = "sentences.txt"
SentenceSource = Literal["file", "corpus", "package"]
"""Whose sentences a proof is made on: of a given file, of the corpus, or the package's own."""

_BATCH_SIZE = 32
_LONGEST = 512
_NUM_CHOICES = 4
_NUM_PREDICTIONS = 4
_STRIDES_PER_SEQUENCE = 4  # a question, and the stride of windows, is a quarter of the sequence


def read_sentences(path: str | Path | None = None) -> list[str]:
    """Return the sentences of a file in any storage, one a line; by default this package's 200.

    White space at the ends of lines, and lines without anything else, are dropped.

    Raises:
        InputError: The file is missing, not UTF-8, or has no sentence.
        ServiceError: The storage of a file in the cloud failed.
    """
    if path is None:
        text = importlib.resources.files(__package__).joinpath(SENTENCES_NAME).read_text("utf-8")
        return text.splitlines()
    try:
        lines = read_bytes(str(path)).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"sentences {path}: not UTF-8 ({error}); save it as UTF-8") from error
    sentences = [line.strip() for line in lines if line.strip()]
    if not sentences:
        raise InputError(f"sentences {path}: no text in it; expected a sentence a line")
    return sentences


def sentence_batches(checkpoint: Checkpoint, sentences: Sequence[str]) -> list[ModelInputs]:
    """Return sentences as batches of up to 32 examples, each as long as its longest example.

    The examples fit the heads: texts or pairs, as the task has them (pairs if it is unknown); texts
    with choices; questions with contexts, of whose windows as many are taken as there are
    sentences; pairs with masked tokens for pretraining heads. They have up to 512 tokens, or as
    many as the model reads. A checkpoint without a vocabulary gets one batch of random tokens.

    Args:
        checkpoint: The model.
        sentences: At least one sentence; not checked.
    """
    if checkpoint.tokenizer is None:
        return [_random_inputs(checkpoint)]
    longest = min(_LONGEST, checkpoint.config.max_position_embeddings)
    features = _features(checkpoint, checkpoint.tokenizer, sentences, longest)
    names = checkpoint.input_names
    batches: list[ModelInputs] = []
    # Spread over all features: those of questions may be far more windows than sentences.
    chosen = np.unique(np.linspace(0, len(features) - 1, len(sentences)).astype(int))
    for start in range(0, len(chosen), _BATCH_SIZE):
        indices = chosen[start : start + _BATCH_SIZE]
        inputs = pad_inputs(features, indices, int(features.lengths[indices].max()))
        if "p_mask" in names:
            inputs["p_mask"] = answer_mask(inputs)
        if "masked_lm_positions" in names:
            inputs = _mask_tokens(inputs, checkpoint.tokenizer.special_ids.mask)
        batches.append(inputs)
    return batches


def _random_inputs(checkpoint: Checkpoint) -> ModelInputs:
    """Return one batch of random tokens; its sequences are choices, or pairs, as the head reads."""
    batch = random_batch(checkpoint.config)
    inputs = {name: batch[name] for name in checkpoint.input_names}
    return group_sequences(inputs, checkpoint) if checkpoint.has_sequence_groups else inputs


def _features(
    checkpoint: Checkpoint, tokenizer: Tokenizer, sentences: Sequence[str], longest: int
) -> Features:
    """Return tokenized examples without targets, made of the sentences as the head reads them.

    Each has as many sentences as the model reads texts; for a span head each is a question, for a
    classifier of tokens the words of one. Texts and pairs have ids by their number.

    Args:
        checkpoint: The model.
        tokenizer: Its vocabulary.
        sentences: The sentences.
        longest: Most tokens of an example. A question has at most a quarter of that, a choice half;
            windows are a quarter apart.
    """
    if "token_classifier" in checkpoint.heads:
        split = [TaggedSentence(id="", words=tuple(text.split())) for text in sentences]
        return make_token_features(split, tokenizer, longest).features
    if checkpoint.heads & {"span", "span_beam"}:
        return make_question_features(
            list(_questions(sentences)),
            tokenizer,
            sequence_length=longest,
            doc_stride=longest // _STRIDES_PER_SEQUENCE,
            max_query_length=longest // _STRIDES_PER_SEQUENCE,
            with_answers=False,
        ).features
    groups = _groups(sentences, _get_num_texts(checkpoint))
    examples = [Example(id=str(n), texts=texts, target=None) for n, texts in enumerate(groups)]
    return make_features(
        examples,
        tokenizer,
        longest,
        max_choice_length=longest // 2,
        are_apart=POOLINGS[checkpoint.pooling].encodes_apart,
    )


def _get_num_texts(checkpoint: Checkpoint) -> int:
    """Return how many texts an example has: as the task declares, else 2.

    For multiple choice they are the text and four choices, whatever number of choices the task has.
    """
    if checkpoint.is_multiple_choice:
        return 1 + _NUM_CHOICES
    declared: Mapping = checkpoint.task or {}
    return len(declared.get("texts") or ()) or 2


def _groups(sentences: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    """Yield for each sentence a group of `size`: it and those that follow.

    The first sentence follows the last; with fewer sentences than `size` they repeat in a group.
    """
    for number in range(len(sentences)):
        yield tuple(sentences[(number + k) % len(sentences)] for k in range(size))


def _questions(sentences: Sequence[str]) -> Iterator[Question]:
    """Yield each sentence once as a question, without answers, about the three that follow it."""
    for number, (question, *context) in enumerate(_groups(sentences, 4)):
        yield Question(id=str(number), question=question, context=" ".join(context))


def _mask_tokens(inputs: dict[str, np.ndarray], mask: int) -> dict[str, np.ndarray]:
    """Return a copy of inputs with the tokens at 1/5, 2/5, 3/5 and 4/5 of each sequence masked.

    The positions are added as `masked_lm_positions` [B, P].

    Args:
        inputs: `input_ids` and `input_mask` [B, S].
        mask: Id of the mask token.
    """
    lengths_B1 = inputs["input_mask"].sum(axis=1, keepdims=True)
    fractions_P = np.arange(1, _NUM_PREDICTIONS + 1) / (_NUM_PREDICTIONS + 1)
    positions_BP = (lengths_B1 * fractions_P).astype(np.int32)
    ids_BS = inputs["input_ids"].copy()
    np.put_along_axis(ids_BS, positions_BP, mask, axis=1)
    return {**inputs, "input_ids": ids_BS, "masked_lm_positions": positions_BP}
