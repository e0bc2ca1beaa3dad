"""Write the card of a model as Markdown, with names and texts that cannot become markup."""

import dataclasses
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import yaml

from albert_core.artifacts.inputs import input_folder
from albert_core.checkpoints import Checkpoint, Description, describe
from albert_core.checkpoints.description import size_name
from albert_core.checkpoints.side_files import read_task
from albert_core.checkpoints.vocabulary import describe_tokenizer
from albert_core.exports.description import PARITY_NAME
from albert_core.exports.formats import ExportFormat
from albert_core.files.atomic import write_atomically
from albert_core.settings.json_values import read_json_object
from components.export.card.config import CardConfig
from components.export.card.facts import CardFacts, gather_facts
from components.export.lineage import Lineage

CARD_NAME = "README.md"
_TEMPLATE = "card.md.j2"
_SEAL_BEGIN = "\n[//]: # (albert card "  # a definition of a link that nothing uses

# Control characters, and those that reverse the direction of the text that follows them.
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
# An underscore between letters is no emphasis; escaped, it would only make names hard to read.
_MARKUP = re.compile(r"[\\`*\[\]~$]|(?<![^\W_])_|_(?![^\W_])")
# What begins a heading, a list or a definition; a sign before a digit is a number's.
_BLOCK_BEGIN = re.compile(r"^(\d{1,9}(?=[.)](\s|$)))?([-+=:](?!\d)|[#.)])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}


def write_card(
    folder: Path,
    *,
    model: str | Path,
    checkpoint: Checkpoint | None = None,
    lineage: Lineage | None = None,
    export_format: ExportFormat | None = None,
    card: CardConfig | None = None,
) -> None:
    """Write README.md into the folder of an exported model, with the results of its parity.json.

    Without a parity.json there is no section about the export.

    Args:
        folder: The folder, which must exist; a README.md there is replaced.
        model: The model that was exported: a checkpoint of any kind, local, gs:// or s3://.
        checkpoint: What was read there, with a task, an architecture or a vocabulary that may not
            be its folder's; if not given, these are its folder's.
        lineage: Manifests of the steps that led to it.
        export_format: The format of the export.
        card: What only people know about it.

    Raises:
        InputError: The model, parity.json, or what `lineage` leads to cannot be read.
        ServiceError: The storage of the model, or of the evaluation, failed.
    """
    parity = folder / PARITY_NAME
    text = make_card(
        model,
        checkpoint=checkpoint,
        lineage=lineage,
        parity=read_json_object(parity) if parity.is_file() else None,
        export_format=export_format,
        card=card,
    )
    write_atomically(folder / CARD_NAME, text.encode())


def make_card(
    model: str | Path,
    *,
    checkpoint: Checkpoint | None = None,
    lineage: Lineage | None = None,
    parity: Mapping[str, Any] | None = None,
    export_format: ExportFormat | None = None,
    card: CardConfig | None = None,
) -> str:
    """Return the card of a checkpoint of any kind, local, gs:// or s3://.

    Of the model only headers and side files are used; but the output of a step is compared with its
    manifest first, and a checkpoint in the cloud is fetched whole.

    Args:
        model: The checkpoint.
        checkpoint: As in `write_card`.
        lineage: Manifests of the steps that led to it.
        parity: The proof of its export; parts may be missing.
        export_format: The format it was exported in.
        card: What only people know about it.

    Raises:
        InputError: The checkpoint is damaged, or it or what `lineage` leads to cannot be read.
        ServiceError: The storage failed.
    """
    source = input_folder(model)
    description = describe(source)
    task: Mapping[str, Any] | None = read_task(source)
    if checkpoint is not None:
        description, task = _as_read(description, checkpoint), checkpoint.task or task
    facts = gather_facts(
        description,
        task=task,
        lineage=lineage,
        parity=parity,
        export_format=export_format,
        card=card,
    )
    return render_card(facts)


def _as_read(description: Description, checkpoint: Checkpoint) -> Description:
    """Return a description with the architecture and the vocabulary of the checkpoint as read."""
    config, tokenizer, model = checkpoint.config, checkpoint.tokenizer, description.model
    return dataclasses.replace(
        description,
        model=model and dataclasses.replace(model, config=config, size=size_name(config)),
        vocabulary=describe_tokenizer(tokenizer) if tokenizer else "",
    )


def render_card(facts: CardFacts) -> str:
    """Return a card as Markdown, with the front matter of the Hugging Face hub.

    The same facts give the same text. Names and texts appear as they are: none becomes markup,
    HTML or another key of the front matter. The last line, which Markdown does not show, is a seal
    for `is_own_card`.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # jinja2 escapes HTML; `escape_markdown` does what Markdown needs
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(plain=escape_markdown, paragraphs=_split_paragraphs)
    header = yaml.safe_dump(dict(facts.header), sort_keys=False, allow_unicode=True)
    text = environment.get_template(_TEMPLATE).render(card=facts, header=header)
    return text + _seal(text)


def is_own_card(data: bytes) -> bool:
    """Return whether a file is a card as `render_card` made it, which nobody has changed since."""
    text, separator, _ = data.decode("utf-8", errors="replace").rpartition(_SEAL_BEGIN)
    return bool(separator) and (text + _seal(text)).encode() == data


def _seal(text: str) -> str:
    return f"{_SEAL_BEGIN}{hashlib.sha256(text.encode()).hexdigest()})\n"


def escape_markdown(text: str) -> str:
    """Return text on one line, escaped so that Markdown shows it as it is.

    Control characters and those that reverse the direction of text become spaces; several spaces
    become one.
    """
    line = " ".join(_INVISIBLE.sub(" ", text).split())
    line = _MARKUP.sub(lambda match: f"\\{match[0]}", line)
    line = _BLOCK_BEGIN.sub(r"\1\\\3", line)
    return "".join(_ENTITIES.get(character, character) for character in line)


def _split_paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text, which empty lines separate; none of them is blank."""
    return [part for part in re.split(r"\n\s*\n", text) if part.strip()]
