"""The text of a compiled pipeline says what was meant, whatever people write into settings."""

from typing import Any

import pytest
import yaml
from kfp import components, dsl

from albert_core.errors import InputError
from pipeline.remote.package import is_own_package, parse_package
from pipeline.remote.package_text import package_text

ODD_TEXTS = (
    "two\nlines\n",
    "\nroot: {}\n---\ncomponents:\n  comp: 1",
    "# Inputs:\n#    title",
    "- a",
    "a: b",
    "no",
    "~",
    "'",
    '"',
    'it\'s "so" \\n',
    "&a *b !c %d @e `f`",
    "{{ds}} {a: [b]}",
    " begins and ends ",
    "tab\there",
    "bell\x07 escape\x1b null\x00",
    "line\u2028 next\x85 mark\ufeff",
    "日本語 🙂 Ω é",
    "2026-11-01",
    "x" * 300,
    "word " * 60,
)
# What other parsers of YAML than Python's read as numbers.
NUMBERS_ELSEWHERE = ("1e3", "12345678901234e5", "0o17", "0x1F", ".5", "1_000", "+1", "1.")


@pytest.fixture(scope="module")
def pipeline() -> Any:
    @dsl.container_component
    def step(title: str, settings: dict):  # type: ignore[no-untyped-def]
        return dsl.ContainerSpec(image="image", command=["true"], args=[title, settings])

    @dsl.pipeline(name="albert", description="Two\nlines.")
    def albert(title: str, settings: dict) -> None:
        step(title=title, settings=settings)

    return albert


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_odd_texts_read_back_as_they_are(pipeline, text):
    parameters = {"title": text, "settings": {"name": text, "list": [text], text[:20]: 1}}
    made = package_text(pipeline, parameters, target="Vertex AI")
    assert parse_package(made, source="test").parameters() == parameters
    assert len(list(yaml.safe_load_all(made))) == 1
    assert components.load_component_from_text(made).name == "albert"
    assert is_own_package(made.encode())


@pytest.mark.parametrize("text", NUMBERS_ELSEWHERE)
def test_texts_that_are_numbers_elsewhere_are_quoted(pipeline, text):
    made = package_text(pipeline, {"title": text, "settings": {}}, target="Kubeflow")
    assert f"defaultValue: '{text}'" in made


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"title": "\udcff"}, "got a value that a pipeline cannot hold"),
        ({"settings": {"rate": float("inf")}}, "got a value that a pipeline cannot hold"),
        ({"settings": {"seed": 2**53 + 1}}, "parameter settings: reads back .*9007199254740992"),
    ],
)
def test_values_that_are_not_kept_are_refused(pipeline, parameters, reason):
    with pytest.raises(InputError, match=reason):
        package_text(pipeline, {"title": "t", "settings": {}, **parameters}, target="Kubeflow")


def test_a_package_of_another_pipeline_is_not_this_programs():
    assert not is_own_package(b"pipelineInfo: {name: theirs}\nroot: {}\n")
    assert not is_own_package(b"corpus: {files: [a.txt]}\n")
    assert not is_own_package(b"\xff\xfe\x00")
