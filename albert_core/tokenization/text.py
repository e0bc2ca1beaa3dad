"""Text normalisation before tokenization."""

import unicodedata
from collections.abc import Callable, Sequence


class Translation(dict[int, str]):
    """A table for `str.translate`, by code point, filled in when a character first occurs.

    Args:
        translate: Takes a character and returns the text that replaces it; called once for each.
    """

    def __init__(self, translate: Callable[[str], str]) -> None:
        self._translate = translate

    def __missing__(self, code: int) -> str:
        self[code] = self._translate(chr(code))
        return self[code]


_WITHOUT_MARKS = Translation(lambda char: "" if unicodedata.combining(char) else char)


def preprocess_text(text: str, *, lower_case: bool, strip_accents: bool = True) -> str:
    """Normalise text as the original does before it tokenizes.

    In this order: white space is folded to single spaces, characters are decomposed (NFKD),
    combining marks are dropped, letters are lower-cased. Source: `preprocess_text` of the
    original's tokenization.py.

    Args:
        text: Any text.
        lower_case: Whether letters are lower-cased.
        strip_accents: Whether characters are decomposed and marks dropped; deviates from the
            original, which always does, if false.
    """
    return preprocess_texts([text], lower_case=lower_case, strip_accents=strip_accents)[0]


def preprocess_texts(
    texts: Sequence[str], *, lower_case: bool, strip_accents: bool = True
) -> list[str]:
    """Normalise many texts, each as `preprocess_text` does; return them in their order."""
    folded = [text if _is_folded(text) else " ".join(text.split()) for text in texts]
    if strip_accents:
        folded = [text if text.isascii() else _without_marks(text) for text in folded]
    return list(map(str.lower, folded)) if lower_case else folded


def _is_folded(text: str) -> bool:
    """Return True only if folding white space would not change the text; False decides nothing."""
    # Quicker than folding: nearly every text passes. No white space but the space is printable.
    return text.isprintable() and "  " not in text and text[:1] != " " and text[-1:] != " "


def _without_marks(text: str) -> str:
    return unicodedata.normalize("NFKD", text).translate(_WITHOUT_MARKS)


def preprocess_text_as_hugging_face(
    text: str, *, lower_case: bool, strip_accents: bool = True
) -> str:
    """Normalise text as the AlbertTokenizer of Hugging Face transformers 5 does.

    Unlike the original: `` and '' become ", all marks are dropped (also those that do not combine,
    as vowel signs of Indian scripts), a sigma at a word's end is lower-cased like any other, and
    white space is folded to single spaces last, not first.

    Args:
        text: Any text.
        lower_case: Whether letters are lower-cased.
        strip_accents: Whether characters are decomposed (NFKD) and marks dropped.
    """
    text = text.replace("``", '"').replace("''", '"')
    if strip_accents and not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(char for char in decomposed if unicodedata.category(char)[0] != "M")
    if lower_case:
        text = text.replace("Σ", "σ").lower()
    return " ".join(text.split())
