"""The model card and data card: one Markdown file of what is known, and of nothing else."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import yaml

from albert_core.artifacts.inputs import input_folder
from albert_core.checkpoints import describe
from albert_core.checkpoints.checkpoint import read_json, read_task
from albert_core.files import write_atomically
from components.export.card_config import CardConfig
from components.export.card_facts import CardFacts, facts_of
from components.export.lineage import Lineage

CARD_NAME = "README.md"
_TEMPLATE = "card.md.j2"
_PARITY_NAME = "parity.json"

_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_MARKUP = re.compile(r"[\\`*\[\]~$]|(?<![^\W_])_|_(?![^\W_])")
_BLOCK_BEGIN = re.compile(r"^(\d{1,9}(?=[.)](\s|$)))?([-+=:](?!\d)|[#.)])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}


def write_card(
    folder: Path,
    *,
    model: str | Path,
    lineage: Lineage | None = None,
    export_format: str = "",
    card: CardConfig | None = None,
) -> None:
    """Write README.md into the folder of an exported model, with what its parity.json says.

    Args:
        folder: The folder.
        model: The model that was exported: a checkpoint of any kind.
        lineage: Manifests of the steps that led to it.
        export_format: Name of the format.
        card: What people say about it.

    Raises:
        InputError: The model, or parity.json, cannot be read.
    """
    parity = folder / _PARITY_NAME
    text = card_of(
        model,
        lineage=lineage,
        parity=read_json(parity) if parity.is_file() else None,
        export_format=export_format,
        card=card,
    )
    write_atomically(folder / CARD_NAME, text.encode())


def card_of(
    model: str | Path,
    *,
    lineage: Lineage | None = None,
    parity: Mapping[str, Any] | None = None,
    export_format: str = "",
    card: CardConfig | None = None,
) -> str:
    """Return the card of a checkpoint of any kind; see `facts_of`.

    Raises:
        InputError: It cannot be read.
    """
    source = input_folder(model)
    facts = facts_of(
        describe(source),
        task=read_task(source),
        lineage=lineage,
        parity=parity,
        export_format=export_format,
        card=card,
    )
    return model_card(facts)


def model_card(facts: CardFacts) -> str:
    """Return the card as Markdown, with the front matter of the Hugging Face hub.

    The same facts give the same text. Every name and text in it is shown as it is: none becomes
    markup, HTML or another key of the front matter.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # for HTML; what `plain` escapes is Markdown
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(plain=plain, paragraphs=_paragraphs)
    header = yaml.safe_dump(dict(facts.header), sort_keys=False, allow_unicode=True)
    return environment.get_template(_TEMPLATE).render(card=facts, header=header)


def plain(text: str) -> str:
    """Return text in one line as Markdown that shows it as it is."""
    line = " ".join(_UNSEEN.sub(" ", text).split())
    line = _MARKUP.sub(lambda found: f"\\{found[0]}", line)
    line = _BLOCK_BEGIN.sub(r"\1\\\3", line)
    return "".join(_ENTITIES.get(character, character) for character in line)


def _paragraphs(text: str) -> list[str]:
    return [part for part in re.split(r"\n\s*\n", text) if part.strip()]
