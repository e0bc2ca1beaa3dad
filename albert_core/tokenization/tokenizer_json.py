"""The tokenizer.json of Hugging Face's tokenizers, from a SentencePiece vocabulary.

With spiece.model alone transformers cuts text at every user-defined symbol, such as the hyphen, and
begins a new word there: other ids than those the model was trained on. This file prevents it.
"""

import base64
from typing import Any

from albert_core.tokenization.model_file import character_map
from albert_core.tokenization.sentencepiece import (
    WORD_START,
    SentencePieceTokenizer,
    ends_in_digit_comma,
)

# Stands for [MASK] while text is normalised; Unicode has no such character.
_MASK = "\ufdd0"
_NO_MASK = "\ufdd1"  # takes the place of that character in a text
_NEVER = -100.0  # added to the score of pieces that transformers' ALBERT must not use


def tokenizer_json(tokenizer: SentencePieceTokenizer) -> dict[str, Any]:
    """Return the contents of a tokenizer.json that follows the rules of transformers' ALBERT.

    They are those of `SentencePieceTokenizer(compat="huggingface")`, whatever the tokenizer's own
    `compat` is.
    """
    ids = tokenizer.special_ids
    special = sorted((ids.pad, ids.unknown, ids.cls, ids.sep, ids.mask))
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            # The mask is found in the normalised text, so that what follows it is part of its text.
            {**_added(index, tokenizer.pieces[index]), "normalized": index == ids.mask}
            for index in special
        ],
        "normalizer": {"type": "Sequence", "normalizers": _normalizers(tokenizer)},
        "pre_tokenizer": _metaspace("never"),
        "post_processor": _post_processor(tokenizer),
        "decoder": _metaspace("always"),
        "model": {
            "type": "Unigram",
            "unk_id": ids.unknown,
            "vocab": _scored_pieces(tokenizer),
            "byte_fallback": False,
        },
    }


def _added(index: int, piece: str) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
    return {"id": index, "content": piece, **flags, "special": True}


def _normalizers(tokenizer: SentencePieceTokenizer) -> list[dict[str, Any]]:
    """Return the normalisers of a tokenizer.json, in the order in which they change a text.

    First [MASK] is replaced by a character that lower-casing does not change. Then two backticks or
    two apostrophes become a double quote; accents are removed, after NFKD, unless the tokenizer
    keeps them; letters are lower-cased if the tokenizer does so; and the SentencePiece model's
    character map is applied if it has one. White space becomes single spaces, with none at the end
    and one before the text, unless it is empty or only [MASK].

    In the end [MASK] comes back, and spaces before it are removed, while one after it stays. So a
    word that follows [MASK] without a space is not marked as the beginning of a word, as in
    pretraining.
    """
    accents = [] if tokenizer.keeps_accents else ["NFKD", "StripAccents"]
    kinds = [*accents, *(["Lowercase"] if tokenizer.lower_case else [])]
    characters = character_map(tokenizer.model)
    encoded = base64.b64encode(characters).decode()
    precompiled = [{"type": "Precompiled", "precompiled_charsmap": encoded}] if characters else []
    mask = tokenizer.pieces[tokenizer.special_ids.mask]
    return [
        _replace({"String": _MASK}, _NO_MASK),
        _replace({"String": mask}, _MASK),
        *(_replace({"String": old}, '"') for old in ("``", "''")),
        *({"type": kind} for kind in kinds),
        *precompiled,
        _replace({"Regex": r"\s+"}, " "),
        {"type": "Strip", "strip_left": True, "strip_right": True},
        # Not of an empty text, and not of the mask alone: its name is normalised to be found.
        _replace({"Regex": f"\\A(?!{_MASK}?\\z)"}, " "),
        _replace({"Regex": f" *{_MASK}"}, mask),
    ]


def _replace(pattern: dict[str, str], content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": content}


def _metaspace(prepend_scheme: str) -> dict[str, Any]:
    """Return the step that puts the mark of a word's start in place of spaces, or back.

    Args:
        prepend_scheme: Where a mark is also added, or removed, without a space: `always` at the
            beginning of a stretch, or `never`.
    """
    return {
        "type": "Metaspace",
        "replacement": WORD_START,
        "prepend_scheme": prepend_scheme,
        "split": True,
    }


def _post_processor(tokenizer: SentencePieceTokenizer) -> dict[str, Any]:
    """Return the templates [CLS] A [SEP] and [CLS] A [SEP] B [SEP], with B [SEP] of segment 1.

    They are the content of `post_processor`, with the ids of [CLS] and [SEP].
    """
    ids = tokenizer.special_ids
    cls, sep = (tokenizer.pieces[index] for index in (ids.cls, ids.sep))

    def special(piece: str, segment: int) -> dict[str, Any]:
        return {"SpecialToken": {"id": piece, "type_id": segment}}

    def text(name: str, segment: int) -> dict[str, Any]:
        return {"Sequence": {"id": name, "type_id": segment}}

    single = [special(cls, 0), text("A", 0), special(sep, 0)]
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, text("B", 1), special(sep, 1)],
        "special_tokens": {
            piece: {"id": piece, "ids": [index], "tokens": [piece]}
            for piece, index in ((cls, ids.cls), (sep, ids.sep))
        },
    }


def _scored_pieces(tokenizer: SentencePieceTokenizer) -> list[list[Any]]:
    """Return [piece, score] by id; pieces that the digit-comma rule splits score far too low."""
    scored = zip(tokenizer.pieces, tokenizer.scores(), strict=True)
    return [
        [piece, score + _NEVER if ends_in_digit_comma(piece) else score] for piece, score in scored
    ]
