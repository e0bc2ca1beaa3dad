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
        "added_tokens": [_added(index, tokenizer.pieces[index]) for index in special],
        "normalizer": {"type": "Sequence", "normalizers": _normalizers(tokenizer)},
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "WhitespaceSplit"}, _metaspace()],
        },
        "post_processor": _post_processor(tokenizer),
        "decoder": _metaspace(),
        "model": {
            "type": "Unigram",
            "unk_id": ids.unknown,
            "vocab": _scored_pieces(tokenizer),
            "byte_fallback": False,
        },
    }


def _added(index: int, piece: str) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": index, "content": piece, **flags, "special": True}


def _normalizers(tokenizer: SentencePieceTokenizer) -> list[dict[str, Any]]:
    """Return the normalisers in order: quotes, marks, lower case if set, the model's own table."""
    quotes = [
        {"type": "Replace", "pattern": {"String": old}, "content": '"'} for old in ("``", "''")
    ]
    accents = [] if tokenizer.keeps_accents else ["NFKD", "StripAccents"]
    kinds = [*accents, *(["Lowercase"] if tokenizer.lower_case else [])]
    characters = character_map(tokenizer.model)
    encoded = base64.b64encode(characters).decode()
    precompiled = [{"type": "Precompiled", "precompiled_charsmap": encoded}] if characters else []
    return [*quotes, *({"type": kind} for kind in kinds), *precompiled]


def _metaspace() -> dict[str, Any]:
    """Return the step that puts the mark of a word's start before words, or back to a space."""
    return {
        "type": "Metaspace",
        "replacement": WORD_START,
        "prepend_scheme": "always",
        "split": True,
    }


def _post_processor(tokenizer: SentencePieceTokenizer) -> dict[str, Any]:
    """Return the templates [CLS] A [SEP] and [CLS] A [SEP] B [SEP], with B [SEP] of segment 1."""
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
