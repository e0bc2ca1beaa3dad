"""A docstring cleaned down to sentences of prose, without code, tables and markup."""

import inspect
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import sentencex

_CODE_DIRECTIVE = re.compile(r"\s*\.\.( |$)(?!(note|warning|tip|important|caution)::)")
_DIRECTIVE = re.compile(r"^\.\. \w+::\s*")
_RULE = re.compile(r"\s*[-=~^*#+_.|\s]{3,}$")
_CODE_LINE = re.compile(
    r"""\s*(
      >>> | \.\.\.\ | \$\ | @\w | [|+] | // | [\])}'"]+,?$
      | (import|from)\ [\w.]+(\ import\ .*|\ as\ .*)?$
      | (def|class)\ \w+[(:] | (for|if|while|with|elif|else|try|except)\b.*:$ | return\ \w+\(
      | [\w.\[\]]+(,\ ?[\w.\[\]]+)*\ [-+*/|]?=\ \S | [\w.]+=\S+$ | [\w.]+\(.*\),?$
    )""",
    re.VERBOSE,
)
_TABLE_ROW = re.compile(r"\S {3,}\S")
_NAME_AND_TYPE = re.compile(r"\*{0,2}[\w.]+(, \*{0,2}\w+)* : ")
_SECTION = re.compile(
    r"(keyword |call |optional )?(arg|argument|attribute|example|field|input|method|note|output"
    r"|parameter|raise|reference|return|yield)s?( shape)?:$|usage.{0,20}:$",
    re.IGNORECASE,
)
_ITEM = re.compile(
    r"(\*{0,2}[\w./]+|\*{0,2}`[^`]+`)( ?\([^)]*\))?(:(\s+|$)| --? )(\([^)]*\)[:.,]?\s+)?"
)
_FIELD = re.compile(r":(\w+)( [\w., |\[\]*]+)?:\s+")
_BULLET = re.compile(r"([-*+•]|\(?\w{1,2}[.)]|#+)\s+(?=\S)")
_LAST_NAME = re.compile(r"`~[^`<]*?(\w+)`")
_ROLE = re.compile(r":[\w:]+:(?=`)")
_LEFT_BULLET = re.compile(r"^\s*[-*•]+ ")
_QUOTED = re.compile(r"(`+)([^`]*?)(\s*<[^`>]*>)?\1_{0,2}")
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")
_STRONG = re.compile(r"(?<![\w*])(\*\*?)(?=\S)([^*]+?)(?<=\S)\1(?![\w*])")
_NOT_PROSE = re.compile(r"[{}\\|$^~#@]|[-=]>|>>|<<|==|\w=|\s=\s|::|://|__|\(\)\.|\[\[|\bTODO\b")
_WORD = re.compile(r"(?<!\S)[\"'(]*[A-Za-z]+(?:['-][A-Za-z]+)*[.,;:!?)\"']*(?!\S)")


class Sentence(NamedTuple):
    """One sentence of prose.

    Attributes:
        text: The sentence without markup, on one line.
        key: The sentence without regard to case, punctuation, digits and quoted code. Sentences
            with equal keys are repetitions: "Same type as `x`." is "Same type as `y`.".
    """

    text: str
    key: str


def clean_docstring(docstring: str) -> tuple[tuple[Sentence, ...], ...]:
    """Return the prose of a docstring as runs of consecutive sentences; empty if it has none.

    Left out: doctests, fenced and literal code, directives, tables, headings, `name : type` lines,
    and sentences that are no prose by `_is_prose`. Kept without their markup: descriptions of
    arguments and list items. A run ends at a sentence that is left out, and at the end of a
    paragraph: two sentences that are neighbours in a run were neighbours in the docstring, too.
    """
    runs: list[list[Sentence]] = []
    for paragraph in prose_paragraphs(docstring):
        runs.append([])
        for raw in _split_sentences(paragraph):
            text = _without_markup(raw)
            if _is_prose(text):
                runs[-1].append(Sentence(text, _key(raw)))
            else:
                runs.append([])
    return tuple(tuple(run) for run in runs if run)


def _split_sentences(paragraph: str) -> Iterator[str]:
    """Yield the sentences of a paragraph with their markup and the white space behind them.

    Roles are removed, and names shortened to their last part where `~` asks for it, before the
    paragraph is split by sentencex; a boundary without white space before it is ignored. The last
    sentence may be empty.
    """
    names_shortened = _LAST_NAME.sub(r"`\1`", _ROLE.sub("", paragraph))
    sentence = ""
    for piece in sentencex.segment("en", names_shortened):
        sentence += piece
        # A boundary without white space behind it lies inside a dotted name and ends no sentence.
        if sentence[-1:].isspace():
            yield sentence
            sentence = ""
    yield sentence


def prose_paragraphs(docstring: str) -> list[str]:
    """Return the paragraphs, list items and argument descriptions, each joined to one line.

    Without doctests, code blocks, headings and table rows, bullets and names of arguments.
    """
    lines = inspect.cleandoc(docstring).expandtabs().splitlines()
    return _join_lines(_drop_headings(_drop_doctests(_drop_code_blocks(lines))))


def _indent(line: str) -> int:
    """Return the number of characters a line is indented by."""
    return len(line) - len(line.lstrip())


def _drop_code_blocks(lines: Sequence[str]) -> list[str]:
    """Blank fenced blocks, literal blocks after `::`, and directives with their bodies.

    Notes, warnings and the like keep their text. Returns as many lines, without `::` at the end.
    """
    lines_left: list[str] = []
    fence = ""
    block_indent: int | None = None
    for line in lines:
        mark = line.strip()[:3]
        if fence or mark in ("```", "~~~"):
            fence = "" if mark == fence else (fence or mark)
            lines_left.append("")
            continue
        if block_indent is not None and (not line.strip() or _indent(line) > block_indent):
            lines_left.append("")
            continue
        is_directive = _CODE_DIRECTIVE.match(line) is not None
        block_indent = _indent(line) if is_directive or _opens_literal(line) else None
        lines_left.append("" if is_directive else line.rstrip().removesuffix("::"))
    return lines_left


def _opens_literal(line: str) -> bool:
    """Return whether the block after a line is literal: it ends in `::` and is no directive."""
    return line.rstrip().endswith("::") and not _DIRECTIVE.match(line.strip())


def _drop_doctests(lines: Sequence[str]) -> list[str]:
    """Blank interactive sessions: from a prompt to the next blank line, output included.

    Returns as many lines.
    """
    lines_left: list[str] = []
    in_session = False
    for line in lines:
        in_session = bool(line.strip()) and (in_session or line.lstrip().startswith(">>>"))
        lines_left.append("" if in_session else line)
    return lines_left


def _drop_headings(lines: Sequence[str]) -> list[str]:
    """Blank underlines, and rules of tables, each with the line above it; returns as many lines."""
    is_rule = [bool(line.strip()) and _RULE.match(line) is not None for line in lines]
    is_heading = [*is_rule[1:], False]
    return [
        "" if rule or heading else line
        for line, rule, heading in zip(lines, is_rule, is_heading, strict=True)
    ]


def _join_lines(lines: Sequence[str]) -> list[str]:
    """Join wrapped lines to paragraphs without bullets, names of arguments and `name : type`.

    A paragraph ends at an empty line, at a line of code or of a table or a section heading such as
    `Args:` (all left out), at an item, where the indentation falls, and after a single line that
    is followed by a deeper one, unless that line begins an item.
    """
    paragraphs: list[list[str]] = [[]]
    section_indent: int | None = None
    previous_indent, starts_item = 0, False
    for line in lines:
        text, indent = line.strip(), _indent(line)
        if not text or _CODE_LINE.match(line) or _TABLE_ROW.search(text):
            paragraphs.append([])
            continue
        if section_indent is not None and indent <= section_indent:
            section_indent = None
        if _SECTION.match(text):
            paragraphs.append([])
            section_indent = indent
            continue
        body = _item_text(text, in_section=section_indent is not None)
        is_term = len(paragraphs[-1]) == 1 and indent > previous_indent and not starts_item
        if body != text or is_term or indent < previous_indent:
            paragraphs.append([])
        starts_item = body != text or (starts_item and indent > previous_indent)
        paragraphs[-1].append(body)
        previous_indent = indent
    return [" ".join(paragraph) for paragraph in paragraphs if any(paragraph)]


def _item_text(text: str, *, in_section: bool) -> str:
    """Return the line without a bullet, field or directive at its start; empty for `name : type`.

    Args:
        text: The line, without indentation.
        in_section: Whether it is below a heading such as `Args:`; a name before a colon or dash is
            removed there, too.
    """
    if _NAME_AND_TYPE.match(text):
        return ""
    for pattern in (_DIRECTIVE, _FIELD, _BULLET):
        text = pattern.sub("", text, count=1) if pattern.match(text) else text
    return text[item.end() :] if in_section and (item := _ITEM.match(text)) else text


def _without_markup(text: str) -> str:
    """Return a sentence without quotes of code, links, emphasis and extra white space."""
    text = _LEFT_BULLET.sub("", _LINK.sub(r"\1", _QUOTED.sub(r"\2", text)))
    return " ".join(_STRONG.sub(r"\2", text).replace("`", "").split())


def _is_prose(text: str) -> bool:
    """Return whether a sentence, without its markup, is prose.

    That is one with three plain words or more, closed quotes, less than half as many commas as
    words, letters for at least 80 % of what is no space, and none of the symbols of code.
    """
    if not text.isprintable() or _NOT_PROSE.search(text) or text.count('"') % 2:
        return False
    num_words = len(_WORD.findall(text))
    num_letters = sum(map(str.isalpha, text))
    is_list = 2 * text.count(",") >= num_words
    return num_words >= 3 and not is_list and num_letters >= 0.8 * len(text.replace(" ", ""))


def _key(raw: str) -> str:
    """Return the `Sentence.key` of a sentence with its markup: its words, folded, only letters.

    Each piece of quoted code becomes a backtick; digits, signs and spaces only separate.
    """
    masked = _QUOTED.sub("`", raw).casefold()
    return " ".join(re.findall(r"[^\W\d_]+|`", masked))
