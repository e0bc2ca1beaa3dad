"""Tables in every format give the examples of the TSV, or are refused by file, row and remedy."""

import bz2
import csv
import dataclasses
import gzip
import json
import lzma
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from albert_core.errors import InputError
from albert_core.tasks import (
    TASKS,
    Example,
    InvalidRows,
    Source,
    Task,
    read_examples,
    task_fingerprint,
)

COLUMNS = ("id", "text", "text_b", "label")
ROWS = [
    ("7", 'She said "no", twice.', "Ça va, 東京?", "wet"),
    ("8", "Fine; today.", "a|b", "fine"),
    ("9", " Outer space ", "'quoted'", "wet"),
]
TASK = Task(
    name="weather",
    texts=("text", "text_b"),
    labels=("fine", "wet"),
    metrics=("accuracy",),
    train=(Source(file="train.tsv", id="id"),),
)


def write_tsv(path: Path, rows: Sequence[Sequence[Any]] = ROWS) -> None:
    lines = ["\t".join(map(str, row)) for row in (COLUMNS, *rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_csv(
    path: Path,
    rows: Sequence[Sequence[Any]] = ROWS,
    *,
    encoding: str = "utf-8",
    **dialect: Any,
) -> None:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, **dialect).writerows([COLUMNS, *rows])


def write_jsonl(path: Path, rows: Sequence[Sequence[Any]] = ROWS) -> None:
    objects = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    path.write_text("".join(json.dumps(one) + "\n" for one in objects))


def write_parquet(
    path: Path, rows: Sequence[Sequence[Any]] = ROWS, *, features: Any = None, **types: Any
) -> None:
    """Write a table with a column of a few more; `features` are Hugging Face's metadata."""
    columns = dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
    arrays = {name: pyarrow.array(values, types.get(name)) for name, values in columns.items()}
    table = pyarrow.table({"image": [b"\0"] * len(rows), **arrays})
    if features is not None:
        described = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": described})
    path.parent.mkdir(exist_ok=True)
    pyarrow.parquet.write_table(table, path)


def pack(path: Path, packing: str) -> None:
    """Compress a file into one with an ending more, and remove it."""
    data = path.read_bytes()
    compress = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
    stream = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(stream, "zstd") as file:
        file.write(data)
    packed = compress[packing](data) if packing in compress else stream.getvalue().to_pybytes()
    path.with_name(f"{path.name}.{packing}").write_bytes(packed)
    path.unlink()


WRITERS: dict[str, Callable[[Path], None]] = {
    "train.csv": write_csv,
    "train.CSV": lambda path: write_csv(path, encoding="utf-8-sig", lineterminator="\n"),
    "mac.csv": lambda path: write_csv(path, lineterminator="\r", quoting=csv.QUOTE_ALL),
    "train.jsonl": write_jsonl,
    "train.ndjson": write_jsonl,
    "train.json": write_jsonl,
    "train.parquet": write_parquet,
    "tabs.csv": write_tsv,  # tables between tabs that people have named so
}


def with_train(file: str, **source: Any) -> Task:
    return dataclasses.replace(TASK, train=(Source(**{"file": file, "id": "id", **source}),))


@pytest.mark.parametrize("file", WRITERS)
def test_every_format_gives_the_examples_of_the_tsv(file: str, tmp_path: Path) -> None:
    write_tsv(tmp_path / "train.tsv")
    WRITERS[file](tmp_path / file)
    expected = read_examples(TASK, tmp_path, "train")
    assert expected == [
        Example(id=id_, texts=(text, other), target=float(label == "wet"))
        for id_, text, other, label in ROWS
    ]
    assert read_examples(with_train(file), tmp_path, "train") == expected


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz", "zst"])
def test_compressed_tables_give_the_same(packing: str, tmp_path: Path) -> None:
    write_tsv(tmp_path / "train.tsv")
    expected = read_examples(TASK, tmp_path, "train")
    for file in ("train.tsv", "train.csv", "tabs.csv", "train.jsonl"):
        WRITERS.get(file, write_tsv)(tmp_path / file)
        pack(tmp_path / file, packing)
        packed = with_train(f"{file}.{packing}")
        assert read_examples(packed, tmp_path, "train") == expected
        path = tmp_path / f"{file}.{packing}"
        path.write_bytes(path.read_bytes()[:-12])
        with pytest.raises(InputError, match=rf"{file}\.{packing}: damaged or not compressed"):
            read_examples(packed, tmp_path, "train")
    (tmp_path / "train.parquet.gz").write_bytes(b"\x1f\x8b\x08" + bytes(20))
    with pytest.raises(InputError, match=r"train\.parquet\.gz: not a Parquet file .*; unpack it"):
        read_examples(with_train("train.parquet.gz"), tmp_path, "train")


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_a_csv_has_the_delimiter_that_is_declared(delimiter: str, tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", delimiter=delimiter)
    task = with_train("train.csv", delimiter=delimiter)
    assert [one.id for one in read_examples(task, tmp_path, "train")] == ["7", "8", "9"]
    if delimiter != "\t":  # which is read as the table between tabs that it is
        message = rf"train\.csv, line 1: got one column, .*with delimiter: '\{delimiter}'"
        with pytest.raises(InputError, match=message):
            read_examples(with_train("train.csv"), tmp_path, "train")


@pytest.mark.parametrize("text", ["Rain; wind", "Rain, wind", "Rain"])
def test_a_csv_of_one_column_may_begin_with_a_text_with_any_signs(
    text: str, tmp_path: Path
) -> None:
    (tmp_path / "test.csv").write_text(f'"{text}"\nSun\n')
    source = Source(file="test.csv", texts=(0,), has_header=False, is_labelled=False)
    task = dataclasses.replace(TASK, test=(source,))
    assert [one.texts for one in read_examples(task, tmp_path, "test")] == [(text,), ("Sun",)]
    with pytest.raises(InputError, match=r"test\.csv"):
        read_examples(with_train("test.csv", id=None), tmp_path, "train")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "train.csv")
    with pytest.raises(InputError, match=r"train\.csv"):
        read_examples(with_train("train.csv"), tmp_path, "train")


def test_a_cell_in_quotes_has_line_ends_and_the_line_of_a_mistake_is_where_its_row_begins(
    tmp_path: Path,
) -> None:
    rows = [("1", "two\r\nlines", "b", "wet"), ("2", "a", "three\nlines\nof it", "sunny")]
    write_csv(tmp_path / "train.csv", rows)
    with pytest.raises(InputError, match=r"train\.csv, line 4: got label 'sunny', expected one"):
        read_examples(with_train("train.csv"), tmp_path, "train")
    write_csv(tmp_path / "train.csv", rows[:1])
    (example,) = read_examples(with_train("train.csv"), tmp_path, "train")
    assert example.texts == ("two\r\nlines", "b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('id,text,text_b,label\n1,a,"b,wet\n2,c,d,fine\n', "line 2: not CSV .*double those inside"),
        ("id,text,text_b,label\n1,a,b\n", "line 2: got 3 columns, expected at least 4"),
        ("id,text,text_b,label,x\n1,a,b,wet\n", "line 2: got 4 columns, expected 5 as in the head"),
        ("id,text,text_b,label\n1,a, b, c,wet\n", "line 2: got 5 .*has ',' in it into double quo"),
        ("id,text,label\n1,a,wet\n", r"no column 'text_b' in its header \(id, text, label\)"),
        ("id,text,text,text_b,label\n1,a,b,c,wet\n", "got 2 columns named 'text', expected one"),
        ("id,text,text_b,label\n1,a,b,1\n", "line 2: got label '1', expected one of fine, wet"),
        ("id,text,text_b,label\n1,a,,wet\n", "line 2: got an empty text"),
        ("id,text,text_b,label\n1,a,b,wet\n1,c,d,wet\n", "line 3: got id '1' again"),
    ],
)
def test_bad_csv_is_refused_by_line(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(text)
    with pytest.raises(InputError, match=r"train\.csv.*" + message):
        read_examples(with_train("train.csv"), tmp_path, "train")


def test_ragged_rows_of_csv_are_left_out_and_counted_if_that_is_asked_for(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", [*ROWS, ("10", "a"), ("11", "a", "b", "c", "wet")])
    invalid_rows = InvalidRows("leave_out")
    task = with_train("train.csv")
    assert len(read_examples(task, tmp_path, "train", invalid_rows=invalid_rows)) == len(ROWS)
    assert invalid_rows.counts == {"short row": 1, "long row": 1}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("id,text\n".encode("utf-16"), "byte 0; it is UTF-16: convert it with `iconv -f UTF-16"),
        ("é".encode("cp1252"), "byte 0; convert the file, for example with `iconv -f WINDOWS-125"),
        ("天气".encode("gbk"), "byte 0; .* by the encoding that it has: GB18030 is common for Ch"),
        (b"PAR1\xff", "byte 4; it is a Parquet file: give its name the ending .parquet"),
        (b"PK\x03\x04\xff", "it is a ZIP archive or a document made of one: save it as CSV in UTF"),
    ],
)
def test_a_file_in_another_encoding_is_named_with_the_way_to_convert_it(
    data: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / "train.csv").write_bytes(data)
    with pytest.raises(InputError, match=rf"train\.csv: not UTF-8 at {message}|{message}"):
        read_examples(with_train("train.csv"), tmp_path, "train")


@pytest.mark.parametrize("text", ['[{"text": "a"}]', '[\n {\n  "text": "a"\n }\n]'])
def test_a_list_in_json_is_refused_with_the_way_to_lines(text: str, tmp_path: Path) -> None:
    (tmp_path / "train.json").write_text(text)
    with pytest.raises(InputError, match=r"line 1: got a list, expected an object a line; .*jq -c"):
        read_examples(with_train("train.json"), tmp_path, "train")


@pytest.mark.parametrize(
    ("rows", "types", "message"),
    [
        ([("1", None, "b", "wet")], {}, "row 1: got null as 'text', expected text"),
        ([("1", "a", 5, "wet")], {}, "row 1: got the number 5 as 'text_b', expected text"),
        ([("1", "a", b"b", "wet")], {}, "row 1: got a value of type bytes as 'text_b'"),
        ([*ROWS, ("1", "a", "b", None)], {}, "row 4: got null as 'label', expected text or a num"),
        ([("1", "a", "b", "sunny")], {}, "row 1: got label 'sunny', expected one of fine, wet"),
        ([("1", ["a"], "b", "wet")], {}, "row 1: got a list as 'text', expected text"),
        ([(None, "a", "b", "wet")], {}, "row 1: got null as 'id', expected text or a whole"),
    ],
)
def test_values_of_parquet_are_refused_by_row(
    rows: Any, types: Any, message: str, tmp_path: Path
) -> None:
    write_parquet(tmp_path / "train.parquet", rows, **types)
    with pytest.raises(InputError, match=rf"train\.parquet, {message}"):
        read_examples(with_train("train.parquet"), tmp_path, "train")


def test_values_of_parquet_that_python_cannot_have_are_refused_by_row(tmp_path: Path) -> None:
    texts = [b"good"] * 1100 + [b"caf\xe9"]
    columns = {
        "id": pyarrow.array([str(number) for number in range(len(texts))]),
        "text": pyarrow.array(texts, pyarrow.binary()).view(pyarrow.string()),
        "text_b": pyarrow.array(["b"] * len(texts)),
        "label": pyarrow.array(["wet"] * len(texts)),
    }
    path, task = tmp_path / "train.parquet", with_train("train.parquet")
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    with pytest.raises(InputError, match=r"train\.parquet, row 1101: text is not UTF-8 .* byte 3"):
        read_examples(task, tmp_path, "train")
    columns["text"] = pyarrow.array([2**62] * len(texts), pyarrow.timestamp("us"))
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    with pytest.raises(InputError, match=r"train\.parquet, row 1: text cannot be read \("):
        read_examples(task, tmp_path, "train")


def test_parquet_without_a_column_with_one_twice_or_damaged_is_refused(tmp_path: Path) -> None:
    path, task = tmp_path / "train.parquet", with_train("train.parquet")
    pyarrow.parquet.write_table(pyarrow.table({"sentence": ["a"], "label": ["wet"]}), path)
    with pytest.raises(InputError, match="got the columns sentence, label, expected 'text' for ta"):
        read_examples(task, tmp_path, "train")
    twice = pyarrow.Table.from_arrays([pyarrow.array(["a"])] * 2, names=["text", "text"])
    pyarrow.parquet.write_table(twice, path)
    with pytest.raises(InputError, match="got columns text, text, expected each name once"):
        read_examples(task, tmp_path, "train")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"train\.parquet: not a Parquet file \(.*copy it anew"):
        read_examples(task, tmp_path, "train")


CLASSES = {"names": ["fine", "wet"], "_type": "ClassLabel"}


def test_class_numbers_of_parquet_are_the_names_in_hugging_faces_metadata(tmp_path: Path) -> None:
    features = {"text": {"dtype": "string", "_type": "Value"}, "label": CLASSES}
    rows = [(*row[:3], int(row[3] == "wet")) for row in ROWS]
    write_parquet(tmp_path / "train.parquet", rows, features=features)
    for labels, targets in ((("wet", "fine"), [0, 1, 0]), (("0", "1"), [1, 0, 1])):
        task = dataclasses.replace(with_train("train.parquet"), labels=labels)
        assert [one.target for one in read_examples(task, tmp_path, "train")] == targets
    write_parquet(
        tmp_path / "train.parquet", [(*ROWS[0][:3], -1)], features=features
    )  # of a test set without labels
    with pytest.raises(InputError, match="row 1: got label '-1', expected one of fine, wet"):
        read_examples(with_train("train.parquet"), tmp_path, "train")


@pytest.mark.parametrize("feature", [[], None, {"_type": "ClassLabel"}])
def test_metadata_in_another_form_names_no_classes(feature: Any, tmp_path: Path) -> None:
    write_parquet(tmp_path / "train.parquet", features={"other": feature})
    assert len(read_examples(with_train("train.parquet"), tmp_path, "train")) == len(ROWS)


def test_lists_of_classes_are_those_that_apply(tmp_path: Path) -> None:
    task = dataclasses.replace(
        with_train("train.parquet"), kind="multi_label", metrics=("micro_f1",)
    )
    rows = [("1", "a", "b", [1]), ("2", "c", "d", [0, 1]), ("3", "e", "f", [])]
    for feature in ({"feature": CLASSES, "_type": "Sequence"}, [CLASSES]):
        write_parquet(tmp_path / "train.parquet", rows, features={"label": feature})
        targets = [one.target for one in read_examples(task, tmp_path, "train")]
        assert targets == [(0.0, 1.0), (1.0, 1.0), (0.0, 0.0)]


def test_tasks_of_glue_are_read_by_the_names_of_hugging_face(tmp_path: Path) -> None:
    rows = {"premise": ["A."], "hypothesis": ["B."], "label": [2], "idx": [7]}
    names = {"names": ["entailment", "neutral", "contradiction"], "_type": "ClassLabel"}
    described = json.dumps({"info": {"features": {"label": names}}})
    table = pyarrow.table(rows)
    for metadata in ({}, {"huggingface": described}):
        pyarrow.parquet.write_table(
            table.replace_schema_metadata(metadata), tmp_path / "train.parquet"
        )
        task = dataclasses.replace(TASKS["mnli"], train=(Source(file="train.parquet"),))
        (example,) = read_examples(task, tmp_path, "train")
        assert (example.texts, example.target) == (("A.", "B."), 0)
    (tmp_path / "train.jsonl").write_text('{"Sentence": "Good.", "label": "positive"}\n')
    task = dataclasses.replace(TASKS["sst-2"], train=(Source(file="train.jsonl"),))
    assert read_examples(task, tmp_path, "train")[0].target == 1
    (tmp_path / "train.jsonl").write_text('{"review": "Good.", "label": 1}\n')
    with pytest.raises(InputError, match="got 2 columns, review, label, expected a header with"):
        read_examples(task, tmp_path, "train")


def test_rows_without_ids_are_numbered_through_all_files_of_a_source(tmp_path: Path) -> None:
    for shard in range(2):
        write_parquet(tmp_path / f"train-0000{shard}-of-00002.parquet")
    task = with_train("train-*-of-00002.parquet", id=None)
    assert [one.id for one in read_examples(task, tmp_path, "train")] == list("012345")


def test_a_delimiter_is_a_character_and_of_csv_alone() -> None:
    for delimiter in ("", "; ", '"', "\n"):
        with pytest.raises(InputError, match=r"file a\.csv: got delimiter .*, expected one chara"):
            Source(file="a.csv", delimiter=delimiter)
    with pytest.raises(InputError, match=r"got delimiter ';' for a\.tsv, which is no CSV"):
        with_train("a.tsv", delimiter=";")
    assert with_train("a.txt", delimiter=";", format="csv").train[0].delimiter == ";"


def test_a_fingerprint_is_the_one_before_there_were_delimiters(tmp_path: Path) -> None:
    for file in ("train.tsv", "dev.tsv"):
        (tmp_path / file).write_text("x")
    task = dataclasses.replace(TASK, train=(Source(file="train.tsv"),))
    recorded = "aa0d48808e058041fda9818cc1bbfc3f75f623aeb0f3b9db18e296cb720af29a"
    assert task_fingerprint(task, tmp_path) == recorded
    changed = dataclasses.replace(
        task, train=(Source(file="train.tsv", format="csv", delimiter=";"),)
    )
    assert task_fingerprint(changed, tmp_path) != recorded
