"""Tokenizers, and the text normalisation the original applies before them."""

from albert_core.tokenization.interface import SpecialIds, Tokenizer
from albert_core.tokenization.kinds import TOKENIZER_KINDS, KindName, TokenizerKind
from albert_core.tokenization.loading import load_tokenizer
from albert_core.tokenization.sentencepiece import Compat, SentencePieceTokenizer
from albert_core.tokenization.text import preprocess_text
from albert_core.tokenization.wordpiece import WordPieceTokenizer

__all__ = [
    "TOKENIZER_KINDS",
    "Compat",
    "KindName",
    "SentencePieceTokenizer",
    "SpecialIds",
    "Tokenizer",
    "TokenizerKind",
    "WordPieceTokenizer",
    "load_tokenizer",
    "preprocess_text",
]
