"""Held-out texts with a masked word, filled by the pretrained model."""

import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from albert_core.errors import InputError
from albert_core.pretraining.objectives import GENERATOR_FOLDER
from albert_core.records.compact import token_dtype
from albert_core.records.tfrecord import parse_example, read_tfrecords
from albert_core.tokenization import Tokenizer, load_tokenizer
from albert_core.tokenization.masked import MASK
from components.report.summary import FilledSample

NUM_SAMPLES = 8
_NUM_READ = 400
_LEAST_TOKENS = 6
_LEAST_CHARACTERS = 3
_NUM_CANDIDATES = 5
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+$")


def fill_samples(pretrained: Path, records: Path) -> list[FilledSample]:
    """Mask a word of some held-out texts and return what the pretrained model puts there.

    A model pretrained by replaced-token detection has a generator, which does it instead. Loads
    the model, which imports Keras and its backend. The texts are taken at equal distances from the
    first 400 held-out records; in each, the longest token of its middle half that is a word is
    masked. They are in the form in which the model reads them, lower-cased if the vocabulary does
    so.

    Args:
        pretrained: Output of `albert pretrain`.
        records: Output of `albert records` with compact records.

    Returns:
        The samples, at most `NUM_SAMPLES` (8). There are none for static records, whose masks are
        drawn already, for a model that cannot fill masks, or where no backend is installed to run
        it.
    """
    tokenizer = load_tokenizer(pretrained)
    masked = list(_masked_texts(tokenizer, _held_out_texts(records, tokenizer)))
    if not masked:
        return []
    texts = [f"{before}{MASK}{after}" for before, _, after in masked]
    try:
        from albert_core.inference import load

        generator = pretrained / GENERATOR_FOLDER
        # So that a report does not depend on the machine's instructions.
        model = load(generator if generator.is_dir() else pretrained, precision="float32")
        filled = model.fill_mask(texts, top_k=_NUM_CANDIDATES)
    # No head, or an installation that has what a report needs and no Keras: all else is still true.
    except (InputError, ImportError):
        return []
    return [
        FilledSample(
            before=before,
            after=after,
            expected=expected,
            candidates=[(token.text, round(token.probability, 4)) for token in prediction.masks[0]],
        )
        for (before, expected, after), prediction in zip(masked, filled, strict=True)
    ]


def _held_out_texts(records: Path, tokenizer: Tokenizer) -> Iterator[list[str]]:
    """Yield the tokens of the first segment of every n-th of the first _NUM_READ held-out records.

    They are at least twice as many as samples are wanted, as far as there are so many. Nothing of
    records whose masks are drawn already.
    """
    dtype = token_dtype(len(tokenizer))
    segments = []
    paths = sorted(records.glob("held_out-*"))
    every = itertools.chain.from_iterable(map(read_tfrecords, paths))
    for record in itertools.islice(every, _NUM_READ):
        example = parse_example(record)
        if "pieces" not in example:
            return
        ids = np.frombuffer(example["pieces"][0], dtype)[: example["first_length"][0]]
        segments.append(ids)
    step = max(1, len(segments) // (2 * NUM_SAMPLES))
    for ids in segments[::step]:
        yield [tokenizer.pieces[index] for index in ids]


def _masked_texts(
    tokenizer: Tokenizer, texts: Iterator[Sequence[str]]
) -> Iterator[tuple[str, str, str]]:
    """Yield text before the mask, masked word and text after it; at most `NUM_SAMPLES`.

    Texts without a word to mask are passed over.
    """
    num_yielded = 0
    for tokens in texts:
        position = _choose_position(tokenizer, tokens)
        if position is None:
            continue
        surfaces = _spaced_surfaces(tokenizer, tokens)
        word = surfaces[position]
        space = word[: len(word) - len(word.lstrip())]
        before, after = "".join(surfaces[:position]) + space, "".join(surfaces[position + 1 :])
        yield before.lstrip(), word.strip(), after
        num_yielded += 1
        if num_yielded == NUM_SAMPLES:
            return


def _choose_position(tokenizer: Tokenizer, tokens: Sequence[str]) -> int | None:
    """Return the place of the longest token in the middle half that is a whole word, or None.

    A word is whole if it follows a space, no letter follows it and it has _LEAST_CHARACTERS or
    more. In scripts without spaces any token of letters counts. None, too, of fewer than
    _LEAST_TOKENS tokens.
    """
    if len(tokens) < _LEAST_TOKENS:
        return None
    surfaces = _spaced_surfaces(tokenizer, tokens)
    best, longest = None, 0
    for place in range(len(tokens) // 4, len(tokens) - len(tokens) // 4):
        text, following = surfaces[place].strip(), surfaces[place + 1]
        if _UNSPACED.match(text):
            is_word = True
        else:
            follows_space = surfaces[place][:1].isspace() and len(text) >= _LEAST_CHARACTERS
            is_word = follows_space and not following[:1].isalpha()
        if is_word and text.isalpha() and len(text) > longest:
            best, longest = place, len(text)
    return best


def _spaced_surfaces(tokenizer: Tokenizer, tokens: Sequence[str]) -> list[str]:
    """Return tokens as text, with a space before each that begins a word."""
    surfaces = tokenizer.surfaces(tokens)
    if any(surface[:1].isspace() for surface in surfaces):
        return surfaces
    # WordPiece marks what continues a word, not what begins one.
    return [
        f" {surface}" if tokenizer.without_mark(token) == token else surface
        for token, surface in zip(tokens, surfaces, strict=True)
    ]
