"""Documentation inside installed Python packages, cleaned down to sentences of prose.

Packages are located but never imported: their source files are parsed. What counts as documentation
is every docstring, the texts NumPy attaches to compiled functions with `add_newdoc`, and Python's
own language reference (`pydoc_data/topics.py`).
"""

import ast
import gc
import importlib.util
import inspect
import multiprocessing
import re
import sysconfig
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import sentencex

from albert_core.errors import InputError
from albert_core.machine import can_share_semaphores, num_usable_cores
from albert_core.stops import call_stoppably

PACKAGES = ("apache_beam", "keras", "numpy", "python", "tensorflow")

_MAX_PROCESSES = 8
_EXCLUDED_FOLDERS = frozenset(
    ["dist-packages", "idlelib", "kernel_tests", "lib2to3", "site-packages", "test", "tests"]
)
_EXCLUDED_FILES = re.compile(r"test_.*|.*_test\.py|.*_pb2(_grpc)?\.py")
# TensorFlow ships an old copy of Keras; its documentation is Keras documentation.
_KERAS_INSIDE_TENSORFLOW = ("python", "keras")
_TOPICS = "pydoc_data/topics.py"

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
        key: What it says apart from case, punctuation, digits and quoted code. Sentences with equal
            keys are repetitions: "Same type as `x`." is "Same type as `y`.".
    """

    text: str
    key: str


class DocstringProse(NamedTuple):
    """The prose of one docstring.

    Attributes:
        package: Name of the package the docstring documents.
        path: Source file below the folder of installed packages, with forward slashes, such as
            `numpy/linalg/linalg.py`; of the standard library below `python/`.
        line: Line of the docstring in that file.
        runs: Runs of sentences; inside a run each sentence follows the one before it in the source.
    """

    package: str
    path: str
    line: int
    runs: tuple[tuple[Sentence, ...], ...]

    @property
    def sentences(self) -> tuple[Sentence, ...]:
        """All sentences in order."""
        return tuple(sentence for run in self.runs for sentence in run)


class _Source(NamedTuple):
    """A Python file to read.

    Attributes:
        package: Name of the package that it documents.
        path: Its `DocstringProse.path`.
        file: Where it is.
    """

    package: str
    path: str
    file: Path


def read_documents(
    packages: Sequence[str] = PACKAGES, num_processes: int | None = None
) -> list[DocstringProse]:
    """Return the documents of installed packages, sorted by package, path and line.

    Args:
        packages: Importable package names, or `python` for the standard library. Documents of
            TensorFlow's copy of Keras are of the package `keras`.
        num_processes: Processes that parse; by default one a core, at most 8. The result is the
            same for any number. A machine without /dev/shm has only this one.

    Raises:
        InputError: A package is not installed.
        SyntaxError: A file is not Python that this interpreter can parse.
    """
    sources = sorted(source for name in packages for source in _find_sources(name))
    num_processes = num_processes or min(num_usable_cores(), _MAX_PROCESSES)
    if num_processes == 1 or not can_share_semaphores():
        by_source = [_read_source(source) for source in sources]
    else:
        context = multiprocessing.get_context("spawn")

        def read_all() -> list[list[DocstringProse]]:
            # Syntax trees have no cycles; without the collector a third of the time is saved.
            with ProcessPoolExecutor(num_processes, context, initializer=gc.disable) as pool:
                return list(pool.map(_read_source, sources, chunksize=16))

        by_source = call_stoppably(read_all)
    return [document for documents in by_source for document in documents]


def _package_root(name: str) -> Path:
    """Return the folder of a package's sources, without importing it.

    Of `python` it is that of the standard library.

    Raises:
        InputError: It is not installed, or is a single module.
    """
    if name == "python":
        return Path(sysconfig.get_paths()["stdlib"])
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            f"demo data package: got {name!r}, expected an installed package with Python sources; "
            f"install it (the extras 'data' and 'train' hold all of {', '.join(PACKAGES)})"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _find_sources(name: str) -> Iterator[_Source]:
    """Yield the Python files of a package, without tests and generated code, in any order.

    Files of TensorFlow's copy of Keras are of the package `keras`.

    Raises:
        InputError: The package is not installed.
    """
    root = _package_root(name)
    for file in root.rglob("*.py"):
        relative = file.relative_to(root)
        if _EXCLUDED_FOLDERS.intersection(relative.parts) or _EXCLUDED_FILES.match(file.name):
            continue
        is_keras = name == "tensorflow" and relative.parts[:2] == _KERAS_INSIDE_TENSORFLOW
        path = f"{name}/{relative.as_posix()}"
        yield _Source("keras" if is_keras else name, path, file)


def _read_source(source: _Source) -> list[DocstringProse]:
    """Parse a file and return a document for each docstring with prose, in order of their lines.

    Of Python's topics file the texts of its dictionary are taken in place of docstrings. A file
    without triple quotes is not parsed and gives no document.

    Raises:
        SyntaxError: The file cannot be parsed.
    """
    content = source.file.read_bytes()
    is_topics = source.path.endswith(_TOPICS)
    # Parsing is slow, and files without triple quotes hold nothing worth it.
    if not is_topics and b'"""' not in content and b"'''" not in content:
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        tree = ast.parse(content)
    texts = sorted(_topic_texts(tree) if is_topics else _docstrings(tree))
    documents = (
        DocstringProse(source.package, source.path, line, clean_docstring(text))
        for line, text in texts
    )
    return [document for document in documents if document.runs]


def _docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the raw text of each docstring of a module, in any order.

    Private and nested functions and classes count, and so do texts given to `add_newdoc`.
    """
    # Statements only: expressions are most of the tree and hold no docstrings.
    nodes: list[ast.AST] = [tree]
    while nodes:
        node = nodes.pop()
        nodes.extend(
            child
            for child in ast.iter_child_nodes(node)
            if isinstance(child, ast.stmt | ast.excepthandler)
        )
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node, clean=False)
            if text:
                yield node.body[0].lineno, text
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield from _attached_texts(node.value)


def _attached_texts(call: ast.Call) -> Iterator[tuple[int, str]]:
    """Yield line and text of each `text` of a call `add_newdoc(place, name, text)`.

    Texts of a single line, and those of calls of anything else, are left out.
    """
    if isinstance(call.func, ast.Name) and call.func.id == "add_newdoc":
        for argument in call.args[2:]:
            yield from _long_strings(argument)


def _topic_texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and text of the values in the dictionary of `pydoc_data/topics.py`.

    Texts of a single line are left out.
    """
    for statement in tree.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            yield from _long_strings(statement.value)


def _long_strings(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of every string of several lines below a node."""
    for child in ast.walk(node):
        if isinstance(child, ast.Constant) and isinstance(child.value, str) and "\n" in child.value:
            yield child.lineno, child.value


def clean_docstring(docstring: str) -> tuple[tuple[Sentence, ...], ...]:
    """Return the prose of a docstring as runs of consecutive sentences; empty if it has none.

    Left out: doctests, fenced and literal code, directives, tables, headings, `name : type` lines,
    and sentences that are no prose by `_is_prose`. Kept without their markup: descriptions of
    arguments and list items. A sentence left out ends its run, and so does a paragraph, so
    neighbours in a run were neighbours.
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
    """Return the `Sentence.key` of a sentence with its markup: its words, folded, of letters alone.

    Each piece of quoted code becomes a backtick; digits, signs and spaces only separate.
    """
    masked = _QUOTED.sub("`", raw).casefold()
    return " ".join(re.findall(r"[^\W\d_]+|`", masked))
