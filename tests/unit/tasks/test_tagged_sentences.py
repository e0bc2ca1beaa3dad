"""Sentences with tags: in CoNLL's columns and in JSON lines, read alike, and refused by line."""

import collections
import dataclasses
import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from albert_core.errors import InputError
from albert_core.finetuning.config import FinetuningConfig
from albert_core.finetuning.data_checks import check_task_data
from albert_core.tasks import InvalidRows, Source, Task, find_task, read_sentences
from albert_core.tasks.description import describe_files

NER = Task(
    name="ner",
    kind="token_classification",
    train=(Source(file="train.conll"),),
    dev=(Source(file="dev.jsonl", texts=("tokens",), label="ner_tags"),),
    labels=("O", "B-PER", "I-PER", "S-LOC"),
    metrics=("f1",),
)
WORDS = [("Ann", "Lee", "left", "Rome"), ("Yes", "!")]
TAGS = [(1, 2, 0, 3), (0, 0)]
LINES = ["Ann B-PER", "Lee I-PER", "left O", "Rome S-LOC", "", "Yes O", "! O"]


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_bytes(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(LINES),
        "\n".join(LINES).replace(" ", "\t") + "\n\n\n",
        "\ufeff" + "\r\n".join(["-DOCSTART- O", "", *LINES]),
        "\n".join(LINES).replace(" ", "   NN x  ").replace("\n\n", "\n-DOCSTART- O\n"),
    ],
)
def test_columns_are_read_with_tabs_or_spaces(text: str, tmp_path: Path) -> None:
    write(tmp_path, "train.conll", text)
    sentences = read_sentences(NER, tmp_path, "train")
    assert [one.words for one in sentences] == WORDS
    assert [one.tags for one in sentences] == TAGS
    assert [one.id for one in sentences] == ["0", "1"]


CONLL_U = """# newdoc id = weblog
# sent_id = 1
# text = Vámonos al mar
# a comment of any kind
1-2\tVámonos\t_\t_\t_\t_\t_\t_\t_\t_
1\tVamos\tir\tO\t_\t_\t0\troot\t_\t_
2\tnos\tnosotros\tB-PER\t_\t_\t1\tobj\t_\t_
2.1\tfuimos\tir\tO\t_\t_\t_\t_\t1:conj\t_

# text =
# newpar
1\t#\t#\tO\t_\t_\t0\troot\t_\t_
"""


def test_conll_u_has_comments_words_together_and_empty_nodes(tmp_path: Path) -> None:
    write(tmp_path, "train.conll", CONLL_U)
    task = dataclasses.replace(NER, train=(Source(file="train.conll", texts=(1,), label=3),))
    sentences = read_sentences(task, tmp_path, "train")
    assert [one.words for one in sentences] == [("Vamos", "nos"), ("#",)]
    assert [one.tags for one in sentences] == [(0, 1), (0,)]


@pytest.mark.parametrize(
    "comments",
    [
        "# sent_id = x1\n# text = Ann Lee left\n",
        "# id f423a88e-02b7\tdomain=dev\n",
        "# newpar id = 3\n#global = x y\n",
    ],
)
def test_comments_in_the_forms_of_conll_u_are_left_out_of_other_columns(
    comments: str, tmp_path: Path
) -> None:
    write(tmp_path, "train.conll", comments + "# O\nLee I-PER\n\n#go O\n# O\n\n" + comments)
    sentences = read_sentences(NER, tmp_path, "train")
    assert [one.words for one in sentences] == [("#", "Lee"), ("#go", "#")]


def test_numbers_that_are_labels_are_these_whatever_their_order(tmp_path: Path) -> None:
    task = dataclasses.replace(NER, labels=("1", "2", "0"), metrics=("accuracy",))
    write(tmp_path, "dev.jsonl", '{"tokens": ["a", "b", "c"], "ner_tags": [0, 1, 2]}')
    for class_names in ((), ("O", "B-PER", "I-PER")):  # as a README.md beside the file has them
        task = dataclasses.replace(task, class_names=class_names)
        (sentence,) = read_sentences(task, tmp_path, "dev")
        assert sentence.tags == (2, 0, 1)


def test_json_lines_have_tags_by_name_or_number(tmp_path: Path) -> None:
    rows = [
        {"tokens": WORDS[0], "ner_tags": [NER.labels[n] for n in TAGS[0]]},
        {"tokens": WORDS[1], "ner_tags": TAGS[1], "id": "x"},
    ]
    write(tmp_path, "dev.jsonl", "\n\n".join(map(json.dumps, rows)))
    sentences = read_sentences(NER, tmp_path, "dev")
    assert [(one.words, one.tags) for one in sentences] == list(zip(WORDS, TAGS, strict=True))


def test_parquet_has_tags_by_the_numbers_of_its_classes(tmp_path: Path) -> None:
    names = ["I-PER", "B-PER", "O", "S-LOC"]
    tags = [[names.index(NER.labels[number]) for number in numbers] for numbers in TAGS]
    table = pyarrow.table({"tokens": [list(words) for words in WORDS], "ner_tags": tags})
    classes = {"_type": "Sequence", "feature": {"_type": "ClassLabel", "names": names}}
    metadata = {"huggingface": json.dumps({"info": {"features": {"ner_tags": classes}}})}
    path = tmp_path / "train.parquet"
    pyarrow.parquet.write_table(table.replace_schema_metadata(metadata), path)
    source = Source(file="*.parquet", texts=("tokens",), label="ner_tags")
    task = dataclasses.replace(NER, train=(source,))
    sentences = read_sentences(task, tmp_path, "train")
    assert [(one.words, one.tags) for one in sentences] == list(zip(WORDS, TAGS, strict=True))
    path.write_bytes(b"x" * 20)
    with pytest.raises(InputError, match=r"train\.parquet: not a Parquet file"):
        read_sentences(task, tmp_path, "train")


def test_a_list_of_words_must_have_a_name(tmp_path: Path) -> None:
    write(tmp_path, "train.jsonl", '{"tokens": ["a"], "label": ["O"]}')
    task = dataclasses.replace(NER, train=(Source(file="train.*"),))
    with pytest.raises(InputError, match=r"train\.jsonl: got no texts .* texts: \[tokens\]"):
        read_sentences(task, tmp_path, "train")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("train.conll", "Ann B-PER\rleft O\r\rBob B-PER\r"),
        ("train.jsonl", '{"tokens": ["a"], "ner_tags": ["O"]}\r' * 2),
    ],
)
def test_lines_with_carriage_returns_alone_are_not_one_line(
    file: str, text: str, tmp_path: Path
) -> None:
    source = Source(file=file, texts=("tokens",) if file.endswith("jsonl") else ())
    (tmp_path / file).write_bytes(text.encode())
    with pytest.raises(InputError, match="got lines that end in a carriage return alone"):
        read_sentences(dataclasses.replace(NER, train=(source,)), tmp_path, "train")


def test_other_columns_and_words_without_tags(tmp_path: Path) -> None:
    write(tmp_path, "train.conll", "1 Ann B-PER x\n2 left O x\n")
    task = dataclasses.replace(NER, train=(Source(file="train.conll", texts=(1,), label=2),))
    (sentence,) = read_sentences(task, tmp_path, "train")
    assert (sentence.words, sentence.tags) == (("Ann", "left"), (1, 0))
    task = dataclasses.replace(NER, test=(Source(file="test.txt", is_labelled=False),))
    write(tmp_path, "test.txt", "Ann\nleft\n\nNow\n")
    assert [one.words for one in read_sentences(task, tmp_path, "test")] == [
        ("Ann", "left"),
        ("Now",),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Ann B-PER\nleft", r"train\.conll, line 2: got 1 columns \(left\), expected 2 as in the"),
        ("Ann\nleft", r"train\.conll, line 1: got 1 columns \(Ann\), expected 2 or more: a word"),
        ("Ann B-ORG", "line 1: got tag 'B-ORG', expected one of O, B-PER, I-PER, S-LOC; correct"),
        ("# by hand\nAnn B-PER", r"line 2: got 2 .* if it is a comment, remove it: only those of"),
        ("# Ann\n\nAnn\n", r"line 1: got tag 'Ann'"),
        ("Ann B-PER\n# by hand\n", r"line 2: got 3 columns .* if it is a comment, remove it"),
        ("\n\n-DOCSTART- -X- O\n", r"train\.conll: no rows; expected the task's train set"),
    ],
)
def test_a_wrong_line_is_named_before_anything_starts(
    text: str, message: str, tmp_path: Path
) -> None:
    write(tmp_path, "train.conll", text)
    with pytest.raises(InputError, match=message):
        check_task_data(NER, tmp_path, FinetuningConfig())


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"tokens": ["a"]}, "line 1: got no 'ner_tags' for task ner, only tokens"),
        ({"tokens": "a b", "ner_tags": [0, 0]}, "line 1: got the text 'a b' as 'tokens', expected"),
        ({"tokens": ["a", " "], "ner_tags": [0, 0]}, "line 1: got .*expected words"),
        ({"tokens": ["a", "b"], "ner_tags": [0]}, "line 1: got 1 tags as 'ner_tags', expected a"),
        ({"tokens": ["a"], "ner_tags": ["X"]}, "line 1: got tag 'X', expected one of O, B-PER"),
        ({"tokens": ["a"], "ner_tags": [4]}, "line 1: got tag '4', expected one of O, B-PER"),
        ({"tokens": ["\ud83d"], "ner_tags": [0]}, "line 1: got .*surrogate"),
    ],
)
def test_a_wrong_row_is_named(row: dict[str, Any], message: str, tmp_path: Path) -> None:
    write(tmp_path, "dev.jsonl", json.dumps(row))
    with pytest.raises(InputError, match=rf"dev\.jsonl, {message}"):
        read_sentences(NER, tmp_path, "dev")


def test_sentences_that_cannot_be_used_are_left_out_and_counted(tmp_path: Path) -> None:
    write(tmp_path, "train.conll", "\n".join([*LINES, "", "so B-ORG", "", "on", "", *LINES]))
    invalid = InvalidRows("leave_out")
    assert len(read_sentences(NER, tmp_path, "train", invalid_rows=invalid)) == 4
    assert invalid.counts == {"unknown tag": 1, "other number of columns": 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ("NN", "VB")}, r"got tag 'NN' with metrics f1, .* metrics: \[accuracy\]"),
        ({"labels": ("O", "L-PER")}, r"got tag 'L-PER' .* \(write L- as E- and U- as S-\)"),
        ({"labels": ("O",)}, "got labels O, expected 2 or more different ones"),
        ({"metrics": ("micro_f1",)}, "got metrics micro_f1, expected some of f1, precision"),
        ({"train": (Source(file="a", format="tsv"),)}, "got format tsv .* expected conll or jsonl"),
        (
            {"train": (Source(file="a", format="squad"),)},
            "got format squad for a .* conll or jsonl",
        ),
        ({"train": (Source(file="a", texts=("x",)),)}, "got column 'x' for a, expected a number"),
        ({"label": "tag"}, "got column 'tag' for train.conll, expected a number, from 0"),
        (
            {"kind": "classification", "metrics": ("accuracy",), "dev": (Source(file="a"),)}
            | {"texts": (0,), "train": (Source(file="a", format="conll"),)},
            "got format conll for a of a classification task, expected another format",
        ),
    ],
)
def test_a_wrong_declaration_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataclasses.replace(NER, **changes)


def test_tags_that_are_no_entities_may_be_scored_by_accuracy() -> None:
    task = dataclasses.replace(NER, labels=("NN", "VB"), metrics=("accuracy",))
    assert task.num_outputs == 2


def test_files_are_found_by_name_and_a_dev_set_is_split_off(tmp_path: Path) -> None:
    (tmp_path / "ner").mkdir()
    (tmp_path / "ner/task.yaml").write_text(
        "name: ner\nkind: token_classification\nlabels: [O, B-A, B-B]\nmetrics: [f1]\n"
    )
    kinds = ("O", "B-A", "B-B", "O")
    text = "".join(f"w{n} {kinds[n % 4]}\nx O\n\n" for n in range(80))
    write(tmp_path, "ner/train.conll", text + text)  # each sentence twice
    write(tmp_path, "ner/test.conll", "w\nx\n")
    task, folder = find_task("ner", tmp_path)
    assert [source.is_labelled for source in task.test] == [False]
    assert describe_files(task, folder) == (
        "train: train.conll (CoNLL's columns); dev: 10 % of the training rows, split off by the "
        "types of entities with seed 12345; test: test.conll (CoNLL's columns, without labels)"
    )
    train, dev = (read_sentences(task, folder, split) for split in ("train", "dev"))
    assert (len(train), len(dev)) == (144, 16)
    assert collections.Counter(max(one.tags) for one in dev) == {0: 8, 1: 4, 2: 4}
    assert not {one.words for one in train} & {one.words for one in dev}
    check_task_data(task, folder, FinetuningConfig())
    write(tmp_path, "ner/test.conll", "w O\nx O\n")
    assert find_task("ner", tmp_path)[0].test[0].is_labelled


@pytest.mark.parametrize("file", ["train.jsonl", "data/train-00000-of-00001.parquet"])
def test_files_with_lists_of_words_are_found_by_name(file: str, tmp_path: Path) -> None:
    (tmp_path / "ner/data").mkdir(parents=True)
    (tmp_path / "ner/task.yaml").write_text(
        "name: ner\nkind: token_classification\nmetrics: [f1]\ntexts: [tokens]\nlabel: ner_tags\n"
    )
    rows = [{"tokens": ["Ann", f"x{n}"], "ner_tags": ["B-PER", "O"]} for n in range(40)]
    if file.endswith("jsonl"):
        write(tmp_path, f"ner/{file}", "\n".join(map(json.dumps, rows)))
    else:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "ner" / file)
    task, folder = find_task("ner", tmp_path)
    assert task.labels == ("B-PER", "O")
    assert len(read_sentences(task, folder, "train")) == 36


def test_columns_of_words_have_numbers_and_no_names(tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text(
        "name: ner\nkind: token_classification\nmetrics: [f1]\ntexts: [tokens]\n"
    )
    write(tmp_path, "train.tsv", "Ann B-PER")
    with pytest.raises(InputError, match=r"got column 'tokens' for train\.tsv, expected a number"):
        find_task(str(tmp_path / "task.yaml"), tmp_path)


def test_a_yaml_declares_such_a_task(tmp_path: Path) -> None:
    (tmp_path / "pos").mkdir()
    (tmp_path / "pos/task.yaml").write_text(
        "name: pos\nkind: token_classification\nlabels: [O, B-A, I-A]\nmetrics: [f1, accuracy]\n"
        "train: train.txt\ndev: {file: dev.txt, label: 3}\n"
    )
    write(tmp_path, "pos/dev.txt", "a x x O\n")
    task, folder = find_task("pos", tmp_path)
    (sentence,) = read_sentences(task, folder, "dev")
    assert (sentence.words, sentence.tags) == (("a",), (0,))
