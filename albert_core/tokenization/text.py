"""Text normalisation before tokenization."""

import unicodedata


def preprocess_text(text: str, *, lower_case: bool) -> str:
    """Normalise text as the original does before it tokenizes.

    White space is folded to single spaces, then compatibility decomposition (NFKD), combining
    marks dropped, lower case. Source: `preprocess_text` of the original's tokenization.py.
    """
    text = " ".join(text.split())
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(char for char in decomposed if not unicodedata.combining(char))
    return text.lower() if lower_case else text
