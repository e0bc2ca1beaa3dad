"""No text becomes markup in a card."""

import dataclasses
import re

import pytest
from markdown_it import MarkdownIt

from albert_core.checkpoints import describe
from albert_core.checkpoints.side_files import read_task
from components.export.card.config import CardConfig
from components.export.card.facts import gather_facts
from components.export.card.render import escape_markdown, render_card
from tests.helpers.model_cards import header_of, html_of

HOSTILE = (
    "---\n# Title",
    "a: b\n- c",
    "<script>alert(1)</script>",
    "| a | b |",
    "[here](http://example.com) ![x](y) `code` *bold* _thin_ ~~gone~~",
    "{{ 7 * 7 }} {% raw %}",
    "&lt; \\| \\",
    "1. one",
    "=====",
    "\u202ebackwards\x1b[31m",
)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_text_becomes_markup(hostile, run, lineage):
    line = " ".join(hostile.split("\n"))
    task = {**read_task(run / "tuned"), "name": hostile, "labels": [hostile, "b"]}
    words = CardConfig(
        name=line,
        license=line,
        languages=(line,),
        tags=(line,),
        intended_use=f"{hostile}\n\n{hostile}",
        data_license=line,
        data_description=hostile,
    )
    facts = gather_facts(describe(run / "tuned"), task=task, lineage=lineage, card=words)
    text = render_card(facts)
    header = header_of(text)
    assert (header["license"], header["language"]) == (line, [line])
    assert {hostile, line} <= set(header["tags"])
    plain_words = CardConfig(name="x", intended_use="x\n\nx", data_description="x", license="x")
    harmless = render_card(
        gather_facts(
            describe(run / "tuned"),
            task={**task, "name": "x", "labels": ["x", "b"]},
            lineage=lineage,
            card=dataclasses.replace(plain_words, languages=("x",), tags=("x",), data_license="x"),
        )
    )
    assert tags_of(html_of(text)) == tags_of(html_of(harmless))


def tags_of(html: str) -> list[str]:
    return re.findall(r"<[^>]*>", html)


@pytest.mark.parametrize("hostile", [text for text in HOSTILE if "\x1b" not in text])
def test_escaped_text_reads_as_it_was(hostile):
    html = MarkdownIt("commonmark").enable("table").renderInline(escape_markdown(hostile))
    shown = html.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"')
    assert shown.replace("&amp;", "&") == " ".join(hostile.split())
