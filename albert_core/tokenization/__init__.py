"""Tokenizers, and the text normalisation the original applies before them."""

from albert_core.tokenization.sentencepiece import SentencePieceTokenizer, load_tokenizer
from albert_core.tokenization.text import preprocess_text

__all__ = ["SentencePieceTokenizer", "load_tokenizer", "preprocess_text"]
