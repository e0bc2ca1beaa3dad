"""Files of the data archives that lie beside the repository, read without unpacking the rest."""

import tarfile
from pathlib import Path


def read_member(shared: Path, archive: str, member: str) -> bytes:
    """Return the bytes of a file of `shared/data/<archive>.tar.xz`; the first members are quick."""
    with tarfile.open(shared / "data" / f"{archive}.tar.xz") as file:
        content = file.extractfile(member)
        assert content, f"{member} is no file"
        return content.read()


def article_lines(wikiextractor_text: bytes) -> list[str]:
    """Return the paragraphs of articles: the lines too long for titles."""
    lines = wikiextractor_text.decode().split("\n")
    return [line for line in lines if len(line) > 30 and not line.startswith("<doc ")]
