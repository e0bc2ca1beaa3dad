"""Text normalisation before tokenization."""

import unicodedata
from collections.abc import Callable, Sequence


class Translation(dict[int, str]):
    """A table for `str.translate`, filled in by a function when a character first occurs."""

    def __init__(self, translate: Callable[[str], str]) -> None:
        self._translate = translate

    def __missing__(self, code: int) -> str:
        self[code] = self._translate(chr(code))
        return self[code]


_WITHOUT_MARKS = Translation(lambda char: "" if unicodedata.combining(char) else char)


def preprocess_text(text: str, *, lower_case: bool) -> str:
    """Normalise text as the original does before it tokenizes.

    In this order: white space is folded to single spaces, characters are decomposed (NFKD),
    combining marks are dropped, letters are lower-cased. Source: `preprocess_text` of the
    original's tokenization.py.
    """
    return preprocess_texts([text], lower_case=lower_case)[0]


def preprocess_texts(texts: Sequence[str], *, lower_case: bool) -> list[str]:
    """Normalise many texts, each as `preprocess_text` does."""
    folded = [text if _is_folded(text) else " ".join(text.split()) for text in texts]
    plain = [text if text.isascii() else _without_marks(text) for text in folded]
    return list(map(str.lower, plain)) if lower_case else plain


def _is_folded(text: str) -> bool:
    """Return whether white space certainly needs no folding. False for some such texts, too."""
    # Quicker than folding: nearly every text passes. No white space but the space is printable.
    return text.isprintable() and "  " not in text and text[:1] != " " and text[-1:] != " "


def _without_marks(text: str) -> str:
    return unicodedata.normalize("NFKD", text).translate(_WITHOUT_MARKS)


def preprocess_text_as_hugging_face(text: str, *, lower_case: bool) -> str:
    """Normalise text as the AlbertTokenizer of Hugging Face transformers 5 does.

    Unlike the original: `` and '' become ", all marks are dropped (also those that do not
    combine, as vowel signs of Indian scripts), and a sigma at a word's end is lower-cased like any
    other.
    """
    text = text.replace("``", '"').replace("''", '"')
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(char for char in decomposed if unicodedata.category(char)[0] != "M")
    if lower_case:
        text = text.replace("Σ", "σ").lower()
    return " ".join(text.split())
