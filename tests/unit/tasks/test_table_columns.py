"""Tables: columns by name in the layouts people have, and refusal of every other."""

import dataclasses
import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from albert_core.errors import InputError
from albert_core.tasks import (
    TASKS,
    Example,
    InvalidRows,
    Source,
    Task,
    find_task,
    read_examples,
)
from albert_core.tasks.glue import GLUE_FOLDERS

# Header, a row and its label in exports of Hugging Face's `glue` data sets.
EXPORTS = {
    "cola": ("sentence\tlabel\tidx", "A.\t1\t7", ("A.",), 1),
    "sst-2": ("sentence\tlabel\tidx", "A.\t1\t7", ("A.",), 1),
    "mrpc": ("sentence1\tsentence2\tlabel\tidx", "A.\tB.\t1\t7", ("A.", "B."), 1),
    "sts-b": ("sentence1\tsentence2\tlabel\tidx", "A.\tB.\t3.8\t7", ("A.", "B."), 3.8),
    "qqp": ("question1\tquestion2\tlabel\tidx", "A?\tB?\t1\t7", ("A?", "B?"), 1),
    # Of Hugging Face 0 is entailment and 2 contradiction, of the original 1 and 0.
    "mnli": ("premise\thypothesis\tlabel\tidx", "A.\tB.\t2\t7", ("A.", "B."), 0),
    "qnli": ("question\tsentence\tlabel\tidx", "A?\tB.\t1\t7", ("A?", "B."), 1),
    "rte": ("sentence1\tsentence2\tlabel\tidx", "A.\tB.\t0\t7", ("A.", "B."), 0),
    "wnli": ("sentence1\tsentence2\tlabel\tidx", "A.\tB.\t1\t7", ("A.", "B."), 1),
}
PAIR = Task(
    name="own",
    texts=(0, 1),
    label=2,
    labels=("0", "1"),
    metrics=("accuracy",),
    test=(Source(file="test.tsv", texts=(1, 2), id=0, is_labelled=False),),
)

# sha256 of the examples of GLUE's own tables, recorded when columns were still read by number.
REAL_TABLES = {
    "cola train train.tsv": "39b2ac5eaf4e118c43896997b0eb0fbd4c0465f234546671e7635124ccbc483d",
    "cola dev dev.tsv": "1883d35b0f4cf703d51d13af59388930d8706f833011ed31b975b2702561ece1",
    "cola test test.tsv": "17bacc6355dc8d4040644ea5dd54c11f4d929d6428748662ba01e3ca5f0098dd",
    "sst-2 train train.tsv": "4cc6c1d84fa002d02182e9eba498626085a4e4f94756ee9dde06c27c4bebe4e3",
    "sst-2 dev dev.tsv": "07836ab30b6a898391768c2fbaadf78cfd91e93e5b068ed3c9b76b4f0b94a4a4",
    "sst-2 test test.tsv": "07786645c6a00c55e6e83aff14fc328becc28aac0edd0a91d078cfc453d574c8",
    "mrpc train train.tsv": "d8cc50e608b202e644e1096dd7108c08521222154d2fc62e9ceda7c1ccddba78",
    "mrpc dev dev.tsv": "1d8613a391a8d70025219da7a48cc346a3752ba8bf639c4bb8ab2569d07b0790",
    "mrpc test test.tsv": "70b7d7671ca8a66d8db7c55bfe3a4eea28054b3c3b63c560a4b748c32ba7014c",
    "sts-b train train.tsv": "cc5e409d3f689ec121d327607b56b8473fe98a735d2aa75150f46489f46b3358",
    "sts-b dev dev.tsv": "7987431c8bc09cdde21de174990873dde389a98ccee7ab6197486d95451414d2",
    "sts-b test test.tsv": "744b7a42bfccb278f0499985badce7ed50c044255066081c11ea67be1245b32c",
    "qqp train train.tsv": "98ad3d182789c3b058f7a720aa3586366fe00c31276353c543a2cb8d9e53c57a",
    "qqp dev dev.tsv": "28f49c43552eeedb54411cd5da14df1cab6c68736ea7528f88ef41465f215fa7",
    "mnli train train.tsv": "dfe7f0cb36502a7052e8776ae9179eed34d72f228c32e38383855a77159b12a1",
    "mnli dev dev_matched.tsv": "070d2d13492b4192f4659bdfa6bca0283e5a34d03519c03816e942ea5a70c002",
    "mnli test diagnostic.tsv": "861edc00989fa688cb3f7229090dc280b194a2c949a4355413a03c0a6244a3ec",
    "qnli train train.tsv": "e63c4f6a59688f6811b15b86862946842ef9b16310d09e6c6f5ae2f0aa1263d0",
    "qnli dev dev.tsv": "b8d2ccadf51a839a43662c78b0457d4f28da281ea52cb06bb88b6752287414d0",
    "qnli test test.tsv": "deda79c904a9418b1eeae9fbc8816340ecea9e95047d130e7ab1ebdb37dde862",
    "rte train train.tsv": "bc5ceaeb1cb91399c0f24dee24712fdbed760f19ac313a416599590eca06e9b6",
    "rte dev dev.tsv": "eafb402a4167462f581872cfdb5e4a556be3fba7f1fa0b515149eea7dbaae3af",
    "rte test test.tsv": "90862eaa3570a4263d6002b1d3035c14a7ef8fd517027e98a4b7c58aa7139773",
    "wnli train train.tsv": "8e5f1713c7bf58636ae30b01c45ff91c7660a58ec039e6fad4bf2c3322f252de",
    "wnli dev dev.tsv": "415453a846c7772064b4e48a96ee5bea4c22a581193f4e56549f72cf4475105c",
    "wnli test test.tsv": "cdcf27522d5c1f391a8ba9379e8bacd487f4dfce8590652075a921ad9939466e",
}


def write(folder: Path, *lines: str, file: str = "train.tsv") -> Path:
    (folder / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def glue(folder: Path, name: str, *lines: str, split: str = "train") -> tuple[Task, Path]:
    task = TASKS[name]
    (folder / "glue").mkdir(exist_ok=True)
    return task, write(folder / "glue", *lines, file=task.sources(split)[0].file)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", EXPORTS)
@pytest.mark.parametrize("index", [False, True])
def test_exports_of_hugging_face_are_read_by_their_names(
    name: str, index: bool, tmp_path: Path
) -> None:
    header, row, texts, label = EXPORTS[name]
    lines = [f"\t{header}", f"0\t{row}"] if index else [header, row]  # pandas' own index before
    task, folder = glue(tmp_path, name, *lines)
    (example,) = read_examples(task, folder, "train")
    assert (example.texts, example.target) == (texts, label)


@pytest.mark.parametrize("name", EXPORTS)
def test_predictions_for_an_export_bear_its_ids(name: str, tmp_path: Path) -> None:
    header, row, texts, _ = EXPORTS[name]
    *cells, _, number = row.split("\t")
    task, folder = glue(tmp_path, name, header, "\t".join([*cells, "-1", number]), split="test")
    source = task.test[0].name
    assert read_examples(task, folder, "test") == [
        Example(id="7", texts=texts, target=None, source=source)
    ]


@pytest.mark.parametrize(
    ("name", "label", "target"),
    [
        ("cola", "unacceptable", 0),
        ("sst-2", "positive", 1),
        ("mrpc", "not_equivalent", 0),
        ("qqp", "duplicate", 1),
        ("mnli", "neutral", 2),
        ("rte", "not_entailment", 1),
        ("wnli", "entailment", 1),
    ],
)
def test_names_of_classes_are_read_as_their_labels(
    name: str, label: str, target: int, tmp_path: Path
) -> None:
    header, row, *_ = EXPORTS[name]
    cells = row.split("\t")
    cells[-2] = label
    task, folder = glue(tmp_path, name, header, "\t".join(cells))
    assert read_examples(task, folder, "train")[0].target == target


@pytest.mark.parametrize("name", ["mnli", "qnli", "rte"])
def test_class_numbers_are_refused_where_nothing_says_whose_they_are(
    name: str, tmp_path: Path
) -> None:
    header, row, *_ = EXPORTS[name]
    lines = [line.rpartition("\t")[0] for line in (header, row)]  # without idx
    task, folder = glue(tmp_path, name, *lines)
    with pytest.raises(InputError, match=r"line 2: got label '[012]', expected one of"):
        read_examples(task, folder, "train")


def test_quotes_of_an_export_are_taken_off_where_all_are_its_own(tmp_path: Path) -> None:
    header = "sentence\tlabel\tidx"
    quoted = '"He said ""no"" twice."\t1\t0'
    task, folder = glue(tmp_path, "sst-2", header, quoted, "Plain.\t0\t1")
    texts = [example.texts for example in read_examples(task, folder, "train")]
    assert texts == [('He said "no" twice.',), ("Plain.",)]
    task, folder = glue(tmp_path, "sst-2", header, quoted, '5" of "rain"\t0\t1')
    assert read_examples(task, folder, "train")[0].texts == ('"He said ""no"" twice."',)
    task, folder = glue(tmp_path, "sst-2", "sentence\tlabel", quoted.rpartition("\t")[0])
    assert read_examples(task, folder, "train")[0].texts == ('"He said ""no"" twice."',)


@pytest.mark.parametrize(
    ("name", "split", "header", "message"),
    [
        ("sst-2", "train", "label\ttext", "got 2 columns, label, text, expected .*: sentence; lab"),
        ("sst-2", "train", "sentence\tidx", "got the columns sentence, idx, expected sentence; la"),
        ("sst-2", "test", "sentence\tlabel", "expected sentence; idx or index"),
        ("sst-2", "test", "sentence\tsentence\tidx", "each once"),
        ("sst-2", "train", "A fine film.\t1", "got 2 columns, A fine film., 1, expected a header"),
        ("qqp", "train", "id\tsent0\tsent1\tlabel", "got 4 columns, .*question1, question2; is_du"),
        ("mrpc", "train", "sentence1\tlabel", r"expected .*#1 string, #2 string or sentence1, sen"),
        ("mnli", "dev", "s1\ts2\tgold_label", "expected .*sentence1, sentence2 or premise, hypot"),
        ("sts-b", "train", "sentence1\tsentence2\tscore\tlabel", "each once"),
        ("cola", "test", "gj04\t1\t\tA sentence.", "got 4 columns, .* expected a header"),
    ],
)
def test_other_headers_of_glue_are_refused(
    name: str, split: str, header: str, message: str, tmp_path: Path
) -> None:
    row = "\t".join("1" for _ in header.split("\t"))
    task, folder = glue(tmp_path, name, header, row, split=split)
    with pytest.raises(InputError, match=rf"\.tsv, line 1: .*{message}"):
        read_examples(task, folder, split)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "split", "header", "row", "width"),
    [
        ("sst-2", "train", "sentence\tlabel", "A stray\ttab.\t1", 2),
        ("cola", "train", "gj04\t1\t\tA sentence.", "gj04\t1\t\tA stray\ttab.", 4),
        ("rte", "test", "index\tsentence1\tsentence2", "0\tA stray\ttab.\tB.", 3),
    ],
)
def test_a_stray_tab_is_refused_by_file_and_line(
    name: str, split: str, header: str, row: str, width: int, tmp_path: Path
) -> None:
    task, folder = glue(tmp_path, name, header, row, split=split)
    with pytest.raises(InputError, match=rf"line 2: got {width + 1} columns, expected {width} as"):
        read_examples(task, folder, split)  # type: ignore[arg-type]


def test_a_row_without_its_last_cell_does_not_lend_another_one(tmp_path: Path) -> None:
    task, folder = glue(tmp_path, "wnli", "index\tsentence1\tsentence2\tlabel", "0\tA.\t1")
    with pytest.raises(InputError, match="line 2: got 3 columns, expected at least 4"):
        read_examples(task, folder, "train")
    own = dataclasses.replace(PAIR, label=-1)
    write(tmp_path, "a\tb\tlabel", "A.\tB.\t1", "A.\t1")
    with pytest.raises(InputError, match="line 3: got 2 columns, expected at least 3"):
        read_examples(own, tmp_path, "train")


@pytest.mark.parametrize(
    ("first", "changes"),
    [
        ("A.\tB.\t1", {}),
        ("A.\tB.\t3.5", {"kind": "regression", "labels": (), "metrics": ("pearson",)}),
        ("This is a text of seven words.\tB.\tno", {}),
    ],
)
def test_a_first_row_of_data_is_not_lost_as_a_header(
    first: str, changes: dict, tmp_path: Path
) -> None:
    task = dataclasses.replace(PAIR, **changes)
    write(tmp_path, first, "C.\tD.\t0")
    with pytest.raises(InputError, match=r"line 1: got a row of data .*has_header: false"):
        read_examples(task, tmp_path, "train")
    write(tmp_path, "7\tA.\tB.", "8\tC.\tD.", file="test.tsv")
    with pytest.raises(InputError, match=r"test\.tsv, line 1: got a row of data"):
        read_examples(task, tmp_path, "test")


def test_a_column_may_be_named_by_a_whole_question(tmp_path: Path) -> None:
    question = "How do you feel about our product overall, on this day?"
    task = dataclasses.replace(PAIR, texts=(question,), label="2026")
    write(tmp_path, f"{question}\t2026", "A.\t1", "B.\t0")
    assert len(read_examples(task, tmp_path, "train")) == 2


def test_quotes_around_all_cells_are_no_part_of_the_texts(tmp_path: Path) -> None:
    write(tmp_path, '"a"\t"b"\t"label"', '"A."\t"B."\t"1"', '"C ""D""."\t"E."\t"0"')
    message = r'line 1: got all cells in quotes .* declare format: csv and delimiter: "\\t"'
    with pytest.raises(InputError, match=message):
        read_examples(PAIR, tmp_path, "train")
    source = Source(file="train.tsv", format="csv", delimiter="\t")
    examples = read_examples(dataclasses.replace(PAIR, train=(source,)), tmp_path, "train")
    assert [(*one.texts, one.target) for one in examples] == [
        ("A.", "B.", 1.0),
        ('C "D".', "E.", 0.0),
    ]


def test_a_header_is_not_read_as_data(tmp_path: Path) -> None:
    source = Source(file="train.tsv", has_header=False, is_labelled=False)
    write(tmp_path, "sentence1\tsentence2", "A.\tB.")
    with pytest.raises(InputError, match=r"line 1: got a header .*has_header: true"):
        read_examples(dataclasses.replace(PAIR, train=(source,)), tmp_path, "train")
    write(tmp_path, "C.\tD.", "A.\tB.")
    assert len(read_examples(dataclasses.replace(PAIR, train=(source,)), tmp_path, "train")) == 2


def test_a_table_whose_columns_have_numbers_for_names_is_read(tmp_path: Path) -> None:
    write(tmp_path, "0\t1\t2", "A.\tB.\t1")
    assert [e.texts for e in read_examples(PAIR, tmp_path, "train")] == [("A.", "B.")]


@pytest.mark.parametrize("header", ["b\ta\tlabel", "label\tb\ta", "a\tlabel\tb"])
def test_numbered_columns_stand_in_every_file_in_the_order_of_the_first(
    header: str, tmp_path: Path
) -> None:
    write(tmp_path, "a\tb\tlabel", "A.\tB.\t1")
    write(tmp_path, header, "A.\tB.\t1", file="dev.tsv")
    with pytest.raises(InputError, match=r"dev\.tsv, line 1: got column .* the training file has"):
        read_examples(PAIR, tmp_path, "dev")
    write(tmp_path, "a\tb\tid", "A.\tB.\t1", file="test.tsv")
    with pytest.raises(InputError, match=r"test\.tsv, line 1: got column 'b' where"):
        read_examples(PAIR, tmp_path, "test")
    write(tmp_path, "id\ta\tb", "9\tA.\tB.", file="test.tsv")
    assert read_examples(PAIR, tmp_path, "test")[0].texts == ("A.", "B.")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("a\ta\tlabel", "A.\tB.\t1"), "got 2 columns named 'a', expected one"),
        (("a\tlabel", "1\tA.\t1"), "line 2: got 3 columns, expected 2 as in the header"),  # R's
        (("a\tlabel\rA.\t1",), "end in a carriage return alone"),
    ],
)
def test_tables_that_names_do_not_fit_are_refused(
    lines: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    task = dataclasses.replace(PAIR, texts=("a",), label="label", test=())
    (tmp_path / "train.tsv").write_bytes("\n".join(lines).encode())
    with pytest.raises(InputError, match=message):
        read_examples(task, tmp_path, "train")


def test_a_header_with_too_few_columns_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a\tlabel", "A.\t1")
    with pytest.raises(InputError, match="line 1: got 2 columns, a, label, expected at least 3"):
        read_examples(PAIR, tmp_path, "train")


def test_a_table_between_commas_is_not_one_column(tmp_path: Path) -> None:
    source = Source(file="test.csv", format="tsv", texts=(0,), is_labelled=False)
    write(tmp_path, "sentence,idx", "A.,7", file="test.csv")
    with pytest.raises(InputError, match=r"test\.csv, line 1: got columns between commas"):
        read_examples(dataclasses.replace(PAIR, test=(source,)), tmp_path, "test")


def test_a_file_of_which_most_rows_cannot_be_used_is_another_file(tmp_path: Path) -> None:
    header = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate"
    good, short = "9\t1\t2\tIs it so?\tIs it?\t1", "100\tA.\tB.\t0"
    task, folder = glue(tmp_path, "qqp", header, good, short, short)
    with pytest.raises(
        InputError,
        match=r"train\.tsv: got 2 of 3 rows that cannot be used \(2 short row\).*line 3: got 4 col",
    ):
        read_examples(task, folder, "train", invalid_rows=InvalidRows(task.bad_rows))


@pytest.fixture(scope="module")
def real(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = shared / "data" / "glue.tar.xz"
    if not archive.is_file():
        pytest.skip("needs the real GLUE tables, ../shared/data/glue.tar.xz")
    folder = tmp_path_factory.mktemp("glue")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return folder


@pytest.mark.parametrize("table", REAL_TABLES)
def test_real_tables_of_glue_are_read_as_ever(table: str, real: Path) -> None:
    name, split, file = table.split()
    task, folder = find_task(name, real)
    sources = tuple(source for source in task.sources(split) if source.file.endswith(file))  # type: ignore[arg-type]
    task = dataclasses.replace(task, **{split: sources})
    examples = read_examples(task, folder, split)  # type: ignore[arg-type]
    text = json.dumps([dataclasses.asdict(example) for example in examples], ensure_ascii=False)
    assert hashlib.sha256(text.encode()).hexdigest() == REAL_TABLES[table]


def test_every_real_table_is_among_them() -> None:
    assert {table.split()[0] for table in REAL_TABLES} == set(GLUE_FOLDERS)
