"""The commands and the YAML that README, docs and component READMEs show."""

import dataclasses
import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "components").glob("*/README.md")),
    ROOT / "docker" / "README.md",
)
_FENCE = re.compile(r"^ *```(\w*)\n(.*?^) *```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`((?:\.venv/bin/)?albert [^`]+)`(?!`)")
_ELLIPSIS = {"...", "…"}


@dataclasses.dataclass(frozen=True)
class Command:
    """A command as a document shows it.

    Attributes:
        document: Path of the document, relative to the repository.
        words: The program without its folder, then its arguments; no comments, no variables set
            before it, no ellipsis.
        is_whole: Whether it can be given as it stands: it is in a block, and nothing is left out.
    """

    document: str
    words: tuple[str, ...]
    is_whole: bool

    def __str__(self) -> str:
        return f"{self.document}: {shlex.join(self.words)}"


def documented_commands() -> list[Command]:
    """Return the commands of all documents, in their order."""
    return [command for path in DOCUMENTS for command in _commands_in(path)]


def yaml_blocks() -> Iterator[tuple[str, str]]:
    """Yield (document, text) of every YAML block."""
    for path in DOCUMENTS:
        for language, text in _FENCE.findall(_text(path)):
            if language == "yaml":
                yield path.relative_to(ROOT).as_posix(), textwrap.dedent(text)


def _commands_in(path: Path) -> Iterator[Command]:
    document = path.relative_to(ROOT).as_posix()
    text = _text(path)
    blocks = [block for language, block in _FENCE.findall(text) if language in ("", "sh")]
    outside = _FENCE.sub("", text)
    lines = [line for line in outside.splitlines() if line.startswith("    ")]
    for block in (*blocks, "\n".join(lines)):
        for line in _logical_lines(block):
            if words := _words(line):
                is_whole = not _ELLIPSIS & set(shlex.split(line, comments=True))
                yield Command(document, words, is_whole)
    for span in _INLINE.findall(outside):
        if words := _words(" ".join(span.split())):
            yield Command(document, words, is_whole=False)


def _logical_lines(block: str) -> Iterator[str]:
    """Yield lines with their continuations: after a backslash, or inside quotes."""
    pending = ""
    for line in block.splitlines():
        pending += line.strip()
        if pending.endswith("\\"):
            pending = pending[:-1]
        elif pending.count("'") % 2:
            pending += " "
        else:
            yield pending
            pending = ""


def _words(line: str) -> tuple[str, ...]:
    """Return the words of a shell command; nothing if the line is not one of a known program."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return ()
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    if ">" in words:
        words = words[: words.index(">")]
    program = words[0].removeprefix(".venv/bin/") if words else ""
    if program not in ("albert", "make", "python"):
        return ()
    return (program, *(word for word in words[1:] if word not in _ELLIPSIS))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
