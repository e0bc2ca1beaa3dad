"""What is left out of a corpus: bounds on documents, and overlap with evaluation data."""

import dataclasses
import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from albert_core.corpus.cleaning import (
    CleaningConfig,
    DocumentFilter,
    RemovedDocuments,
    recorded_cleaning,
)
from albert_core.corpus.overlap import OverlapIndex, ngram_hashes, split_words
from albert_core.errors import InputError

QUESTION = "Which of the two harbours froze first in the winter of eighteen ninety seven?"
WITH_COMMA = QUESTION.replace("harbours", "harbours,")
ARTICLE = ["Much was said about it.", f"Some asked: {QUESTION.replace('of', 'OF')} Nobody knew."]

words = st.lists(st.sampled_from("abcdefgh"), max_size=30)


def index_of(folder: Path, files: dict[str, str], ngram: int = 13) -> OverlapIndex:
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return OverlapIndex.build({name: (str(folder / name),) for name in files}, ngram=ngram)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dev.tsv", f"index\tquestion\n5\t{QUESTION}\n"),
        ("dev.csv", f'index,question\r\n5,"Some said, ""{QUESTION}"""\r\n'),
        ("tabs.csv", f'question\tlabel\n"Well", they said: {WITH_COMMA}\t1\n'),
        ("semicolons.csv", f"question;label\n{WITH_COMMA};1\n"),
        ("dev.json", json.dumps({"data": [{"paragraphs": [{"qas": [{"question": QUESTION}]}]}]})),
        ("dev.jsonl", json.dumps({"question": QUESTION}) + "\n" + json.dumps({"question": "a"})),
        ("middle.txt", json.dumps({"article": "Short.", "questions": [QUESTION]})),
        ("plain.txt", f"A paragraph.\n\n{QUESTION}\nMore.\n"),
    ],
)
def test_texts_of_every_kind_of_task_are_found_in_documents(tmp_path, name, text):
    index = index_of(tmp_path, {name: text})
    found, shared = index.find(ARTICLE)
    assert found == name
    assert shared.startswith("which of the two harbours froze first in the winter of eighteen")
    assert index.find(["Much was said about the winter of eighteen ninety seven."]) is None
    assert index.find([]) is None


def test_rows_of_parquet_are_evaluation_data(tmp_path):
    table = pyarrow.table({"question": ["Short.", QUESTION], "label": [0, 1]})
    pyarrow.parquet.write_table(table, tmp_path / "dev.parquet")
    index = OverlapIndex.build({"dev": (str(tmp_path),)}, ngram=13)
    assert index.find(ARTICLE)
    assert index.counts["dev"]["num_texts"] == 2


def test_compressed_tables_are_evaluation_data(tmp_path):
    (tmp_path / "dev.csv.gz").write_bytes(gzip.compress(f"text,label\n{QUESTION},0\n".encode()))
    index = OverlapIndex.build({"dev": (str(tmp_path),)}, ngram=13)
    assert index.find(ARTICLE)
    assert index.counts["dev"]["num_texts"] == 4


def test_one_word_less_is_no_overlap(tmp_path):
    index = index_of(tmp_path, {"dev.tsv": QUESTION})
    thirteen = QUESTION.split()[:13]
    assert index.find([" ".join(thirteen)])
    assert not index.find([" ".join(thirteen[:12])])
    assert not index.find([" ".join([*thirteen[:6], "x", *thirteen[6:]])])


def test_characters_are_words_where_scripts_have_no_spaces(tmp_path):
    text = "船长在暴风雨到达之前数了一万二千只木箱。"
    index = index_of(tmp_path, {"dev.json": json.dumps({"context": text})})
    assert index.find([f"据说{text[2:17]}后来"])
    assert not index.find([text[:12]])


def test_sets_are_counted_and_short_texts_told(tmp_path):
    index = index_of(tmp_path, {"a.tsv": f"{QUESTION}\nshort\n", "b.tsv": f"{QUESTION}\n"})
    assert index.counts["a.tsv"] == {"num_texts": 2, "num_texts_too_short": 1, "num_ngrams": 2}
    assert index.find([QUESTION])[0] == "a.tsv"


def test_an_index_comes_back(tmp_path):
    index = index_of(tmp_path, {"a.tsv": QUESTION})
    index.save(str(tmp_path / "index"), scratch=tmp_path / "scratch")
    loaded = OverlapIndex.load(str(tmp_path / "index"))
    assert loaded.find(ARTICLE) == index.find(ARTICLE)
    assert loaded.counts == index.counts


@given(words, words, st.integers(2, 5))
def test_hashes_are_equal_where_runs_of_words_are(first, second, ngram):
    def runs(own):
        return {tuple(own[at : at + ngram]) for at in range(len(own) - ngram + 1)}

    hashes = [set(ngram_hashes(own, ngram).tolist()) for own in (first, second)]
    assert len(hashes[0] & hashes[1]) == len(runs(first) & runs(second))
    assert len(ngram_hashes(first, ngram)) == max(0, len(first) - ngram + 1)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("dev.json", "{not json", "dev.json: "),
        ("dev.tsv", "", "no text in it"),
        ("dev.txt", "\n\n", "no text in it"),
        ("dev.csv", 'a,"b\n', "dev.csv: CSV, line 1: not CSV"),
        ("dev.parquet", "PAR1", "dev.parquet: not a Parquet file"),
    ],
)
def test_evaluation_data_that_cannot_be_read_is_refused(tmp_path, name, text, message):
    with pytest.raises(InputError, match=message):
        index_of(tmp_path, {name: text})
    with pytest.raises(InputError, match="no file matches"):
        CleaningConfig(evaluation_sets={"a": ("missing.tsv",)}).fingerprint()


@pytest.mark.parametrize(
    ("settings", "document", "reason"),
    [
        ({"min_characters": 10}, ["Too short"], "too_short"),
        ({"max_characters": 10}, ["Too long for it"], "too_long"),
        ({"min_letter_fraction": 0.7}, ["12 34 56 a"], "few_letters"),
        ({"min_letter_fraction": 0.7}, ["только буквы", "文字"], None),
        ({"max_repeated_fraction": 0.5}, ["Buy now!"] * 3, "repeated"),
        ({"max_repeated_fraction": 0.5}, ["Buy now!", "Why not?"], None),
        ({}, ["1"], None),
    ],
)
def test_bounds_name_their_reason(settings, document, reason):
    found = DocumentFilter(CleaningConfig(**settings)).reason(document)
    assert (found and found[0]) == reason


@pytest.mark.parametrize(
    "settings",
    [
        {"min_letter_fraction": 1.5},
        {"max_repeated_fraction": -0.1},
        {"overlap_ngram": 1},
        {"overlap_ngram": 8},
        {"min_characters": 5, "max_characters": 4},
        {"min_characters": -1},
        {"near_duplicate_threshold": 0.0},
        {"near_duplicate_threshold": 1.1},
        {"near_duplicate_threshold": float("nan")},
        {"near_duplicate_threshold": 0.8, "deduplicate": False},
        {"near_duplicate_ngram": 0, "near_duplicate_threshold": 0.8},
        {"near_duplicate_ngram": 4},
        {"num_minhash_permutations": 8, "near_duplicate_threshold": 0.8},
        {"num_minhash_permutations": 2000, "near_duplicate_threshold": 0.8},
    ],
)
def test_bounds_that_make_no_sense_are_refused(settings):
    with pytest.raises(InputError, match=rf"cleaning\.{next(iter(settings))}"):
        CleaningConfig(**settings)


def test_settings_of_near_duplicates_without_a_threshold_are_refused():
    with pytest.raises(InputError, match=r"set cleaning\.near_duplicate_threshold, such as 0\.8"):
        CleaningConfig(num_minhash_permutations=256)


def test_records_without_a_search_for_near_duplicates_are_the_same_work_as_ever():
    settings = {"near_duplicate_threshold", "near_duplicate_ngram", "num_minhash_permutations"}
    off = recorded_cleaning(dataclasses.asdict(CleaningConfig()))
    assert set(dataclasses.asdict(CleaningConfig())) - set(off) == settings
    on = recorded_cleaning(dataclasses.asdict(CleaningConfig(near_duplicate_threshold=0.8)))
    assert settings <= set(on)


def test_examples_of_removed_documents_do_not_depend_on_their_order():
    documents = [(["Text", str(n)], bytes([n * 37 % 256])) for n in range(40)]
    whole, parts = RemovedDocuments(), RemovedDocuments()
    for document, key in documents:
        whole.add("too_short", "4 characters", document, key)
    for some in (documents[30:], documents[:30]):
        part = RemovedDocuments()
        for document, key in some:
            part.add("too_short", "4 characters", document, key)
        parts.merge(vars(part))
    assert parts == whole
    assert whole.counts == {"too_short": 40}
    assert len(whole.examples["too_short"]) == 5


def test_words_ignore_case_width_and_punctuation():
    assert split_words(["The “ＦＵＬＬ” moon,", "it's 5pm!"]) == [
        "the", "full", "moon", "it", "s", "5pm",
    ]  # fmt: skip
    words = split_words(["A b c."])
    assert np.array_equal(ngram_hashes(words, 3), ngram_hashes(["a", "b", "c"], 3))


def test_ends_of_lines_inside_a_text_do_not_cut_it(tmp_path):
    words = "one two three four five six seven eight nine ten eleven twelve thirteen"
    text = words.replace("seven ", "seven\u2028").replace("four ", "four\u0085")
    index = index_of(
        tmp_path,
        {
            "a.jsonl": json.dumps({"text": text}, ensure_ascii=False) + "\n{}\n",
            "b.tsv": f"{text} fourteen\t1\r\n",
        },
    )
    assert index.find([words]) == ("a.jsonl", words)
    assert index.counts["b.tsv"]["num_ngrams"] == 2
