"""Files of examples become files of predictions and vectors, row by row, in bounded memory."""

import csv
import dataclasses
import gzip
import io
import json
import sys
import tracemalloc
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from albert_core.errors import InputError
from albert_core.inference import (
    AnswerSpan,
    InvalidExample,
    PredictedAnswer,
    PredictedChoice,
    PredictedLabel,
    PredictedLabels,
    TaskSignature,
)
from albert_core.inference.file_examples import find_field_columns
from albert_core.inference.file_formats import ResultFormat, RowFormat
from albert_core.inference.file_prediction import embed_file, predict_file
from albert_core.inference.result_files import open_results
from albert_core.inference.row_files import Row, open_rows
from albert_core.tasks import TASKS, Source, Task

TEXTS = ["one", 'a "quoted", longer text', "größer\u2028still one line", ""]
LABELS = TaskSignature(kind="classification", labels=("no", "yes"), num_texts=1)
PAIRS = TaskSignature(kind="classification", labels=("no", "yes"), num_texts=2)
CHOICES = TaskSignature(kind="multiple_choice")
QUESTIONS = TaskSignature(kind="question_answering", has_unanswerable=True)


class FakeModel(SimpleNamespace):
    """Predicts from the lengths of the texts, and keeps what it was asked."""

    def __init__(self, signature: TaskSignature = LABELS, task: str | None = None) -> None:
        config = SimpleNamespace(hidden_size=3)
        super().__init__(signature=signature, task=TASKS.get(task or ""), config=config, asked=[])

    def predictor(self, *, batch_size: int) -> "FakeModel":
        self.batch_size = batch_size
        return self

    def predict(self, examples: Sequence[dict[str, Any]]) -> list[Any]:
        self.asked += examples
        return [self.predict_one(example) for example in examples]

    def predict_one(self, example: dict[str, Any]) -> Any:
        if example.get("text") == "invalid":
            return InvalidExample(what="text", got="nonsense", expected="sense")
        if self.signature.kind == "multiple_choice":
            return PredictedChoice(
                choice=1, probability=0.75, probabilities=[0.25, 0.75], is_truncated=False
            )
        if self.signature.kind == "question_answering":
            span = AnswerSpan(
                text="a\tb", start=3, probability=0.5, start_log_prob=-1.0, end_log_prob=-2.0
            )
            return PredictedAnswer(
                answer="a\tb",
                start=3,
                probability=0.5,
                null_odds=-1.5,
                null_threshold=0.0,
                candidates=[span],
                is_truncated=False,
            )
        share = len(example["text"]) / 100
        return PredictedLabel(
            label="no",
            probability=1 - share,
            probabilities={"no": 1 - share, "yes": share},
            is_truncated=False,
        )

    def encode(self, texts: Sequence[Any], *, pooling: str, batch_size: int) -> np.ndarray:
        self.asked += [(text, pooling) for text in texts]
        return np.array([[len(text), 1, 2] for text in texts], np.float32).reshape(-1, 3)


def write_texts(path: Path, texts: Sequence[str] = TEXTS) -> Path:
    """Write texts in the format of the path's ending, with an id where there are columns."""
    rows = [{"idx": number, "text": text} for number, text in enumerate(texts)]
    if path.suffix == ".txt":
        path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif path.suffix == ".tsv":
        lines = ["idx\ttext", *(f"{row['idx']}\t{row['text']}" for row in rows)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["idx", "text"])
            writer.writeheader()
            writer.writerows(rows)
    return path


def predicted(model: FakeModel, source: Path | str, output: Path) -> list[dict[str, Any]]:
    predict_file(model, str(source), str(output), batch_size=1)
    return [json.loads(line) for line in output.read_text(encoding="utf-8").split("\n") if line]


@pytest.mark.parametrize("ending", ["txt", "jsonl", "parquet", "tsv", "csv"])
def test_rows_of_every_format_are_predicted_in_their_order(tmp_path: Path, ending: str) -> None:
    model = FakeModel()
    rows = predicted(model, write_texts(tmp_path / f"in.{ending}"), tmp_path / "out.jsonl")
    assert model.asked == [{"text": text} for text in TEXTS]
    assert [row["probabilities"]["yes"] for row in rows] == [len(text) / 100 for text in TEXTS]
    ids = [row.get("id") for row in rows]
    assert ids == ([None] * 4 if ending == "txt" else ["0", "1", "2", "3"])


@pytest.mark.parametrize("name", ["in.txt.gz", "in.csv.gz", "in.jsonl.gz"])
def test_compressed_files_are_read_and_damaged_ones_refused(tmp_path: Path, name: str) -> None:
    data = write_texts(tmp_path / name.removesuffix(".gz")).read_bytes()
    (tmp_path / name).write_bytes(gzip.compress(data))
    model = FakeModel()
    assert len(predicted(model, tmp_path / name, tmp_path / "out.jsonl")) == len(TEXTS)
    assert model.asked == [{"text": text} for text in TEXTS]
    (tmp_path / name).write_bytes(gzip.compress(data)[:-9])
    with pytest.raises(InputError, match=rf"{name}: damaged or not compressed as its name says"):
        predicted(model, tmp_path / name, tmp_path / "out.jsonl")


@pytest.mark.parametrize(
    ("columns", "task"),
    [
        (("text", "text_b"), None),
        (("TEXT", "Text_B"), None),
        (("#1 String", "#2 String"), "mrpc"),
        (("premise", "hypothesis"), "rte"),
        (("sentence1", "sentence2"), "rte"),
    ],
)
def test_columns_are_named_as_fields_or_as_the_tasks_files_have_them(
    tmp_path: Path, columns: tuple[str, str], task: str | None
) -> None:
    (tmp_path / "in.tsv").write_text("label\t{}\t{}\n1\ta\tb\n".format(*columns))
    model = FakeModel(PAIRS, task)
    predicted(model, tmp_path / "in.tsv", tmp_path / "out.jsonl")
    assert model.asked == [{"text": "a", "text_b": "b"}]


def test_choices_are_a_list_in_json_lines_and_in_the_cell_of_a_table(tmp_path: Path) -> None:
    asked = {"text": "a", "choices": ["b", "c"]}
    (tmp_path / "in.jsonl").write_text(json.dumps(asked) + "\n")
    (tmp_path / "in.csv").write_text('text,choices\na,"[""b"", ""c""]"\n')
    for name in ("in.jsonl", "in.csv"):
        model = FakeModel(CHOICES)
        (row,) = predicted(model, tmp_path / name, tmp_path / "out.jsonl")
        assert model.asked == [asked]
        assert (row["choice"], row["probabilities"]) == (1, [0.25, 0.75])


def test_tables_have_a_column_for_each_label(tmp_path: Path) -> None:
    source = write_texts(tmp_path / "in.csv", ["ab", "invalid"])
    predict_file(FakeModel(), str(source), str(tmp_path / "out.csv"))
    with (tmp_path / "out.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert first == {
        "id": "0",
        "label": "no",
        "probability": "0.98",
        "probability_no": "0.98",
        "probability_yes": "0.02",
        "is_truncated": "false",
        "error": "",
    }
    assert second["error"] == "text: got nonsense, expected sense"


def test_labels_of_which_any_number_applies_are_a_list(tmp_path: Path) -> None:
    class AllLabels(FakeModel):
        def predict_one(self, example: dict[str, Any]) -> Any:
            shares = {"no": 0.75, "yes": 0.5}
            return PredictedLabels(labels=["no"], probabilities=shares, is_truncated=False)

    source = write_texts(tmp_path / "in.txt", ["a"])
    predict_file(AllLabels(), str(source), str(tmp_path / "out.csv"))
    header, line = (tmp_path / "out.csv").read_text().splitlines()
    assert header == "id,labels,probability_no,probability_yes,is_truncated,error"
    assert line == ',"[""no""]",0.75,0.5,false,'
    predict_file(AllLabels(), str(source), str(tmp_path / "out.parquet"))
    (row,) = pyarrow.parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert (row["labels"], row["probabilities"]) == (["no"], {"no": 0.75, "yes": 0.5})


def test_parquet_has_typed_columns(tmp_path: Path) -> None:
    question = {"question": "Who?", "context": "c"}
    (tmp_path / "in.jsonl").write_text(json.dumps(question) + "\n")
    predict_file(FakeModel(QUESTIONS), str(tmp_path / "in.jsonl"), str(tmp_path / "out.parquet"))
    (row,) = pyarrow.parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert (row["answer"], row["start"], row["null_odds"]) == ("a\tb", 3, -1.5)
    assert row["candidates"][0]["end_log_prob"] == -2.0
    predict_file(FakeModel(QUESTIONS), str(tmp_path / "in.jsonl"), str(tmp_path / "out.tsv"))
    header, line = (tmp_path / "out.tsv").read_text().splitlines()
    assert dict(zip(header.split("\t"), line.split("\t"), strict=True))["answer"] == "a b"


@pytest.mark.parametrize("hint", [Mapping[int, float], frozenset[str], int | str])
def test_parquet_refuses_a_field_of_a_type_it_has_no_column_for(hint: Any, tmp_path: Path) -> None:
    prediction: Any = dataclasses.make_dataclass("Odd", [("value", hint)])({})
    with (
        pytest.raises(TypeError, match="Parquet: got a field of type"),
        open_results(str(tmp_path / "out.parquet"), "parquet", labels=["yes"]) as writer,
    ):
        writer.write([None], [prediction])
    assert not list(tmp_path.iterdir())


def test_a_file_in_which_nothing_can_be_predicted_is_told_row_by_row(tmp_path: Path) -> None:
    source = write_texts(tmp_path / "in.txt", ["invalid"] * 20)
    for name in ("out.csv", "out.parquet", "out.jsonl"):
        counts = predict_file(FakeModel(), str(source), str(tmp_path / name), batch_size=1)
        assert counts == (20, 20)
    assert pyarrow.parquet.read_table(tmp_path / "out.parquet").num_rows == 20


def test_standard_input_and_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    standard_input = SimpleNamespace(buffer=io.BytesIO(b"one\ntwo\n"))
    monkeypatch.setattr(sys, "stdin", standard_input)
    assert predict_file(FakeModel(), "-", "-") == (2, 0)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["label"] for row in rows] == ["no", "no"]
    assert not standard_input.buffer.closed


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("in.tsv", "a\tb\n1\t2\n", "in.tsv, line 2: got the columns a, b, expected text"),
        ("in.tsv", "text\tb\n1\t2\t3\n", "in.tsv, line 2: got 3 cells, expected 2"),
        ("in.tsv", "text\ttext\n", "in.tsv, line 1: got columns text, text, expected each"),
        ("in.csv", 'text\n"a\n', "in.csv, line 2: not CSV"),
        ("in.csv", "text;b\na;b\n", "in.csv, line 1: got one column, 'text;b', expected commas"),
        ("in.csv", "text\tb\na\tb\n", "expected commas between columns; give --format tsv"),
        (
            "in.jsonl",
            '{"text": "a"}\n{"text": 5}\n',
            "line 2: got the number 5 as 'text', expected",
        ),
        ("in.jsonl", '{"text": "a"}\nno\n', "in.jsonl, line 2: not JSON"),
        ("in.jsonl", "[]\n", "in.jsonl, line 1: got a list, expected an object"),
        ("in.parquet", "no", "in.parquet: not a Parquet file"),
        ("in.doc", "", "got the ending '.doc', expected one of .txt, .tsv, .*; or give --format"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_and_nothing_is_left(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        predicted(FakeModel(), tmp_path / name, tmp_path / "out.jsonl")
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


@pytest.mark.parametrize("result_format", [None, "jsonl"])
def test_an_output_that_is_named_as_compressed_is_refused(
    tmp_path: Path, result_format: ResultFormat | None
) -> None:
    """It would hold plain text."""
    source, output = write_texts(tmp_path / "in.jsonl"), tmp_path / "out.jsonl.gz"
    with pytest.raises(InputError, match="got the ending of a compressed file, expected a name"):
        predict_file(FakeModel(), str(source), str(output), result_format=result_format)
    assert not output.exists()


def test_words_are_in_the_column_of_the_tasks_files(tmp_path: Path) -> None:
    model = FakeModel(TaskSignature(kind="token_classification", num_texts=1))
    model.task = Task(
        name="t",
        kind="token_classification",
        train=(Source(file="train.jsonl", texts=("tokens",)),),
        dev=(Source(file="dev.conll"),),
        texts=(1,),
        labels=("O", "B-A"),
        metrics=("f1",),
    )
    (tmp_path / "in.conll").write_text("1 Ann O\n2 left O\n\nShe\n")
    assert len(predicted(model, tmp_path / "in.conll", tmp_path / "out.jsonl")) == 2
    assert [example["text"] for example in model.asked] == [["Ann", "left"], ["She"]]
    model.task = dataclasses.replace(model.task, texts=(2,))
    (tmp_path / "in.conll").write_text("1 Ann\n")
    with pytest.raises(InputError, match=r"in\.conll, line 1: got 2 columns \(1 Ann\), expected"):
        predicted(model, tmp_path / "in.conll", tmp_path / "out.jsonl")


def test_text_of_another_encoding_is_refused_with_the_place(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_bytes(b"one\nmore \xe9\n")
    with pytest.raises(InputError, match=r"in\.txt: not UTF-8 near "):
        predicted(FakeModel(), tmp_path / "in.txt", tmp_path / "out.jsonl")


@pytest.mark.parametrize("row_format", ["lines", "tsv", "conll", "jsonl"])
def test_lines_with_carriage_returns_alone_are_not_one_row(
    row_format: RowFormat, tmp_path: Path
) -> None:
    (tmp_path / "in").write_bytes(b"text\rA.\rB.\r")
    message = "in: got lines that end in a carriage return alone, expected line feeds"
    with (
        pytest.raises(InputError, match=message),
        open_rows(str(tmp_path / "in"), row_format) as file,
    ):
        list(file.rows)


@pytest.mark.parametrize("row_format", ["lines", "tsv", "csv", "conll"])
def test_utf_16_without_a_mark_is_not_read_as_text(row_format: RowFormat, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes("text\nA.\n".encode("utf-16-le"))
    with (
        pytest.raises(InputError, match="in: got binary data or UTF-16 without a byte order mark"),
        open_rows(str(tmp_path / "in"), row_format) as file,
    ):
        list(file.rows)


def test_white_space_around_names_of_columns_does_not_count() -> None:
    row = Row(place="in.csv, line 2", values={"id": "1", " Text ": "A."})
    assert find_field_columns(row, {"text": "text"}, None) == {"text": " Text "}


def test_the_input_is_not_overwritten(tmp_path: Path) -> None:
    source = write_texts(tmp_path / "in.jsonl")
    before = source.read_bytes()
    with pytest.raises(InputError, match="is the file that is read"):
        predict_file(FakeModel(), str(source), str(source))
    with pytest.raises(InputError, match="no folder"):
        predict_file(FakeModel(), str(source), str(tmp_path / "no" / "out.csv"))
    assert source.read_bytes() == before


def test_a_large_file_takes_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    class Forgetful(FakeModel):
        def predict(self, examples: Sequence[dict[str, Any]]) -> list[Any]:
            return [self.predict_one(example) for example in examples]

    peaks = []
    for num_rows in (500, 5_000):
        source = write_texts(tmp_path / f"{num_rows}.jsonl", ["word " * 20] * num_rows)
        tracemalloc.start()
        predict_file(Forgetful(), str(source), str(tmp_path / "out.csv"), batch_size=8)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_vectors_are_an_array_or_a_table_with_ids(tmp_path: Path) -> None:
    source = write_texts(tmp_path / "in.csv")
    model = FakeModel(QUESTIONS)
    for name in ("out.npy", "out.parquet"):
        num_rows = embed_file(model, str(source), str(tmp_path / name), batch_size=1)
        assert num_rows == len(TEXTS)
    array = np.load(tmp_path / "out.npy")
    assert (array.shape, array.dtype) == ((4, 3), np.float32)
    assert array[:, 0].tolist() == [len(text) for text in TEXTS]
    rows = pyarrow.parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["id"] for row in rows] == ["0", "1", "2", "3"]
    np.testing.assert_array_equal([row["vector"] for row in rows], array)
    assert model.asked[0] == ("one", "mean")


def test_pairs_have_a_vector_too_and_no_rows_an_empty_array(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "a", "text_b": "b"}\n{"text": "a"}\n')
    model = FakeModel()
    output = str(tmp_path / "out.npy")
    assert embed_file(model, str(tmp_path / "in.jsonl"), output, pooling="cls") == 2
    assert model.asked == [(("a", "b"), "cls"), ("a", "cls")]
    (tmp_path / "empty.txt").touch()
    assert embed_file(model, str(tmp_path / "empty.txt"), output) == 0
    assert np.load(output).shape == (0, 3)
