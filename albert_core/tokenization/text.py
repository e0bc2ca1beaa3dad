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
