"""The parts of a model's card."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import yaml
from markdown_it import MarkdownIt

from albert_core.tasks import Source
from components.export.card.render import make_card
from components.export.lineage import Lineage
from tests.helpers.tiny_tasks import TINY_TASKS

TASK = dataclasses.replace(TINY_TASKS["topic"], test=(Source(file="test.jsonl"),))
HEADER = re.compile(r"^---\n([\S\s]*?)\n---\n")  # as the Hugging Face hub finds it


def card(run: Path, lineage: Lineage | None, **more: Any) -> str:
    return make_card(run / "tuned", lineage=lineage, **more)


def facts_in(text: str, section: str) -> dict[str, str]:
    """Return the facts that a section of a card lists."""
    body = text.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return dict(line[2:].split(": ", 1) for line in body.splitlines() if line.startswith("- "))


def table_in(text: str, section: str) -> list[dict[str, str]]:
    """Return the rows of a section's table."""
    body = text.split(f"\n## {section}\n")[1].split("\n## ")[0]
    lines = [line for line in body.splitlines() if line.startswith("|")]
    header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(header, row, strict=True)) for row in rows]


def html_of(text: str) -> str:
    """Return the card without its front matter as a reader sees it."""
    return MarkdownIt("commonmark").enable("table").render(text[HEADER.match(text).end() :])


def header_of(text: str) -> dict[str, Any]:
    return yaml.safe_load(HEADER.match(text)[1])
