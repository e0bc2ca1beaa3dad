"""Sentences whose words have tags are found in documents, as all evaluation data is."""

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from albert_core.corpus.evaluation_texts import read_evaluation_texts
from albert_core.corpus.overlap import OverlapIndex
from albert_core.errors import InputError

SENTENCE = "Some of those who could n't wait said the harbour -LRB- their own -RRB- can not freeze"
WORDS = SENTENCE.split()
OTHER = ["Nobody", "knew", "."]
ARTICLE = "Some of those who couldn’t wait said the harbour (their own) cannot freeze. Others"
TAGS = ["O"] * 10 + ["B-LOC"] + ["O"] * (len(WORDS) - 11)
OUTSIDE = ["Oh! " + "O, " * 20]


def column(*columns: Sequence[object], separator: str = " ") -> str:
    rows = zip(*columns, strict=True)
    return "".join(separator.join(map(str, row)) + "\n" for row in rows)


def numbers(words: Sequence[str]) -> range:
    return range(1, len(words) + 1)


def conll_u(words: Sequence[str], comment: str = "") -> str:
    blanks = ["_"] * len(words)
    misc = [f"start_char={number}" for number in numbers(words)]
    lines = column(numbers(words), words, *[blanks] * 7, misc, separator="\t")
    return comment + lines.replace("6\tn't", "5-6\tcouldn't" + "\t_" * 8 + "\n6\tn't") + "\n"


def sentences_of(path: Path) -> list[str]:
    return list(read_evaluation_texts(str(path)))


FILES = {
    "test.conll": "-DOCSTART- -X- O\n\n"
    + column(WORDS, ["NN"] * len(WORDS), TAGS)
    + "\n"
    + column(OTHER, OTHER, ["O"] * 3),
    "test.txt": column(WORDS, TAGS) + "\n" + column(OTHER, ["O"] * 3),
    "numbered.tsv": "# id = 1\n"
    + column(numbers(WORDS), WORDS, TAGS, separator="\t")
    + "\n"
    + column(numbers(OTHER), OTHER, ["O"] * 3, separator="\t"),
    "documents.v4_conll": column(
        ["nw/a_01"] * len(WORDS), [0] * len(WORDS), numbers(WORDS), WORDS, TAGS
    )
    + "\n"
    + column(["nw/a_01"] * 3, [0] * 3, numbers(OTHER), OTHER, ["O"] * 3),
    "words.conllu": conll_u(WORDS) + conll_u(OTHER),
    "texts.conllu": conll_u(["x"] * 14, f"# text = {ARTICLE}\n") + conll_u(OTHER, "# text = No.\n"),
    "test.jsonl": json.dumps({"id": "1", "ner_tags": TAGS, "tokens": WORDS}),
}


@pytest.mark.parametrize("name", FILES)
def test_sentences_with_tags_are_found_in_ordinary_text(tmp_path, name):
    (tmp_path / name).write_text(FILES[name], encoding="utf-8")
    index = OverlapIndex.build({"tags": (str(tmp_path / name),)}, ngram=13)
    found = index.find([ARTICLE])
    assert found is not None
    assert found[0] == "tags"
    assert index.find(OUTSIDE) is None


def test_lists_of_words_in_parquet_are_found_in_ordinary_text(tmp_path):
    table = pyarrow.table({"tokens": [WORDS, OTHER], "ner_tags": [TAGS, ["O"] * 3]})
    pyarrow.parquet.write_table(table, tmp_path / "test.parquet")
    index = OverlapIndex.build({"tags": (str(tmp_path),)}, ngram=13)
    assert index.find([ARTICLE])
    assert index.find(OUTSIDE) is None
    assert index.counts["tags"]["num_texts"] == 2


def test_characters_with_tags_are_found_in_chinese_text(tmp_path):
    text = "船长在暴风雨到达之前数了木箱"
    (tmp_path / "test.txt").write_text(
        column(text, ["O"] * len(text)) + "\n" + column(text[:2], ["O"] * 2), encoding="utf-8"
    )
    assert OverlapIndex.build({"tags": (str(tmp_path),)}, ngram=13).find([text])


def test_tables_and_paragraphs_are_read_as_before(tmp_path):
    for name, text, expected in (
        ("dev.tsv", "a b\t1\n\nc d\t0\n", ["a b", "1", "c d", "0"]),
        ("two.tsv", "yes\t1\nno\t0\n", ["yes", "1", "no", "0"]),
        ("plain.txt", "Some words\nand no more.\n\nEnd\n", ["Some words\nand no more.", "End\n"]),
        ("choices.json", '{"options": ["It rains.", "It snows."]}', ["It rains.", "It snows."]),
        ("lines.txt", "one line\n\nnext line\n", ["one line", "next line\n"]),
    ):
        path = tmp_path / name
        path.write_text(text)
        assert sentences_of(path) == expected


def test_a_set_whose_texts_are_all_too_short_is_refused(tmp_path):
    (tmp_path / "dev.tsv").write_text("yes\t1\nno\t0\n")
    said = r"evaluation_sets\.words: got 4 texts, none of overlap_ngram 13 words"
    with pytest.raises(InputError, match=said):
        OverlapIndex.build({"words": (str(tmp_path / "dev.tsv"),)}, ngram=13)
