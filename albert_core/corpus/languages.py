"""The codes of languages: ISO 639-1, 639-2 and 639-3."""

import functools
import importlib.resources

from albert_core.errors import InputError


def check_language(name: str, code: str) -> None:
    """Refuse what is not the code of a language.

    Args:
        name: The setting.
        code: Its value.

    Raises:
        InputError: It is no code, for example the name of a language or a code with a region.
    """
    if code not in _codes():
        begin = code[:3].rstrip("-_ ").lower()
        example = begin if begin in _codes() and not code.isalpha() else "en"
        raise InputError(
            f"{name}: got {code!r}, expected the ISO 639 code of a language in small letters, such "
            f"as {example}; see https://en.wikipedia.org/wiki/List_of_ISO_639_language_codes"
        )


@functools.cache
def _codes() -> frozenset[str]:
    file = importlib.resources.files(__package__).joinpath("iso_639.txt")
    return frozenset(file.read_text("utf-8").split())
