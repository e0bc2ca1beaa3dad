"""Tasks: files in GLUE's layouts, rows that are refused, tasks that declare themselves."""

import dataclasses
import tarfile
from pathlib import Path

import pytest

from albert_core.errors import InputError
from albert_core.tasks import (
    GLUE_TASKS,
    Example,
    find_task,
    read_examples,
    task_fingerprint,
)

FILES = {
    "cola": {
        "train": 'gj04\t1\t\tA "small sentence.\ngj04\t0\t*\tSentence a small.\n',
        "test": 'index\tsentence\n0\tA "small sentence.\n1\tSentence a small.\n',
    },
    "sst-2": {
        "train": 'sentence\tlabel\nA "small sentence. \t1\nSentence a small.\t0\n',
        "test": 'index\tsentence\n0\tA "small sentence. \n1\tSentence a small.\n',
    },
    "mrpc": {
        "train": '\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n1\t7\t8\tA "b\tC\r\n'
        "0\t9\t10\tD\tE\r\n",
        "test": 'index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t7\t8\tA "b\tC\n1\t9\t10\tD\tE\n',
    },
    "sts-b": {
        "train": "index\tgenre\tfile\tyear\told\ts1\ts2\tsentence1\tsentence2\tscore\n"
        '0\tnews\tf\t2012\t1\tn\tn\tA "b\tC\t5.000\n1\tnews\tf\t2012\t1\tn\tn\tD\tE\t0.25\n',
        "test": "index\tgenre\tfile\tyear\told\ts1\ts2\tsentence1\tsentence2\n"
        '0\tnews\tf\t2012\t1\tn\tn\tA "b\tC\n1\tnews\tf\t2012\t1\tn\tn\tD\tE\n',
    },
    "rte": {
        "train": 'index\tsentence1\tsentence2\tlabel\n0\tA "b\tC\tnot_entailment\n'
        "1\tD\tE\tentailment\n",
        "test": 'index\tsentence1\tsentence2\n0\tA "b\tC\n1\tD\tE\n',
    },
}
SINGLE, PAIRS = [('A "small sentence.',), ("Sentence a small.",)], [('A "b', "C"), ("D", "E")]
TEXTS = {"cola": SINGLE, "sst-2": [('A "small sentence. ',), SINGLE[1]]}
TARGETS = {"sts-b": [5.0, 0.25]}  # class numbers of the others: 1, then 0

ROWS = {  # of the real files: training, development, test
    "cola": (8551, 1043, 1063),
    "sst-2": (67349, 872, 1821),
    "mrpc": (3668, 408, 1725),
    "sts-b": (5749, 1500, 1379),
    "rte": (2490, 277, 3000),
}

DECLARATION = """
name: weather
text_columns: [1]
label_column: 0
labels: [fine, wet]
metrics: [accuracy, f1]
"""


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    for name, texts in FILES.items():
        folder = tmp_path / GLUE_TASKS[name][0]
        folder.mkdir()
        for split, text in {**texts, "dev": texts["train"]}.items():
            (folder / f"{split}.tsv").write_bytes(text.encode())
    return tmp_path


@pytest.fixture(scope="module")
def glue(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("glue")
    with tarfile.open(shared / "data" / "glue.tar.xz") as archive:
        members = [member for member in archive if member.name.endswith(".tsv")]
        archive.extractall(folder, members, filter="data")
    return folder / "glue"


@pytest.mark.parametrize("name", FILES)
def test_layout_of_glue_is_read(name: str, data_dir: Path) -> None:
    task, folder = find_task(name, data_dir)
    texts, targets = TEXTS.get(name, PAIRS), TARGETS.get(name, [1.0, 0.0])
    labelled = [Example(*example) for example in zip(texts, targets, strict=True)]
    assert read_examples(task, folder, "train") == labelled
    assert read_examples(task, folder, "dev") == labelled
    assert read_examples(task, folder, "test") == [Example(text, None) for text in texts]


@pytest.mark.parametrize("name", ROWS)
def test_real_files_are_read_whole(name: str, glue: Path) -> None:
    task, folder = find_task(name, glue)
    splits = [read_examples(task, folder, split) for split in ("train", "dev", "test")]
    assert tuple(map(len, splits)) == ROWS[name]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("gj04\t1", r"train\.tsv, line 3: got 2 columns, expected at least 4 for task cola"),
        ("gj04\t2\t\tText", r"train\.tsv, line 3: got label '2', expected one of 0, 1"),
        ("gj04\t\t\tText", r"line 3: got label '', expected one of 0, 1"),
        ("gj04\t1\t\t\udce9", r"train\.tsv: not UTF-8 at byte 62"),
    ],
)
def test_bad_row_is_refused_by_file_and_line(row: str, message: str, data_dir: Path) -> None:
    task, folder = find_task("cola", data_dir)
    with (folder / "train.tsv").open("ab") as file:
        file.write(row.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=message):
        read_examples(task, folder, "train")


def test_bad_byte_is_counted_from_the_beginning_of_the_file(data_dir: Path) -> None:
    task, folder = find_task("mrpc", data_dir)
    (folder / "dev.tsv").write_bytes("\ufeffQuality".encode() + b"\xe9\n")
    with pytest.raises(InputError, match=r"dev\.tsv: not UTF-8 at byte 10$"):
        read_examples(task, folder, "dev")


def test_score_must_be_a_number_and_files_must_have_rows(data_dir: Path) -> None:
    task, folder = find_task("sts-b", data_dir)
    path = folder / "dev.tsv"
    path.write_text(path.read_text().replace("0.25", "low"))
    with pytest.raises(InputError, match="line 3: got label 'low', expected a number"):
        read_examples(task, folder, "dev")
    path.write_text("header\n")
    with pytest.raises(InputError, match="no rows; expected the task's dev set"):
        read_examples(task, folder, "dev")
    path.unlink()
    with pytest.raises(InputError, match=r"dev\.tsv: no such file"):
        read_examples(task, folder, "dev")
    with pytest.raises(InputError, match=r"no file .*dev\.tsv; expected the task's dev set"):
        task_fingerprint(task, folder)


def test_fingerprint_follows_files_and_declaration(data_dir: Path) -> None:
    task, folder = find_task("rte", data_dir)
    original = task_fingerprint(task, folder)
    assert task_fingerprint(dataclasses.replace(task, metrics=("f1",)), folder) != original
    (folder / "test.tsv").unlink()
    assert task_fingerprint(task, folder) != original


def test_folder_declares_its_own_task(tmp_path: Path) -> None:
    (tmp_path / "weather").mkdir()
    (tmp_path / "weather/task.yaml").write_text(DECLARATION)
    (tmp_path / "weather/train.tsv").write_text("label\ttext\nwet\tRain again.\n")
    task, folder = find_task("weather", tmp_path)
    assert read_examples(task, folder, "train") == [Example(("Rain again.",), 1.0)]
    assert (task.num_outputs, task.is_regression) == (2, False)


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        (DECLARATION.replace("[1]", "[0, 1, 2]"), "expected one or two"),
        (DECLARATION.replace("[fine, wet]", "[fine]"), "two or more different ones"),
        (DECLARATION.replace("[fine, wet]", "[wet, wet]"), "two or more different ones"),
        (DECLARATION.replace("[fine, wet]", "[fine, wet, dry]"), "f1 needs two labels"),
        (DECLARATION.replace("[fine, wet]", "[]"), "expected some of pearson, spearman"),
        (
            DECLARATION.replace("[fine, wet]", "[]").replace("accuracy, f1", "mean_squared_error"),
            "got mean_squared_error as the first metric",
        ),
        (DECLARATION + "test_file: test.tsv\n", "got test_text_columns"),
        (DECLARATION.replace("name: weather", "name: climate"), "expected the folder's"),
        (DECLARATION.replace("[accuracy, f1]", "[]"), "got metrics none"),
        (DECLARATION.replace("accuracy", "bleu"), r"task\.yaml.*metrics"),
        (DECLARATION + "lables: [a, b]\n", r"task\.yaml.*lables"),
        ("- a\n- b", r"task\.yaml: got list, expected settings by name"),
        ("name: [", r"task\.yaml: not YAML"),
    ],
)
def test_wrong_declaration_is_refused(declaration: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "weather").mkdir()
    (tmp_path / "weather/task.yaml").write_text(declaration)
    with pytest.raises(InputError, match=message):
        find_task("weather", tmp_path)


def test_unknown_task_and_missing_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'mrp': unknown; expected one of cola, sst-2, mrpc"):
        find_task("mrp", tmp_path)
    with pytest.raises(InputError, match="no folder CoLA in"):
        find_task("cola", tmp_path)
