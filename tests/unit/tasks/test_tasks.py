"""Tasks: files in GLUE's layouts, rows that are refused, tasks that declare themselves."""

import dataclasses
import tarfile
from pathlib import Path

import pytest

from albert_core.errors import InputError
from albert_core.tasks import (
    TASKS,
    Example,
    InvalidRows,
    data_folder,
    find_task,
    read_examples,
    read_questions,
    task_fingerprint,
)
from albert_core.tasks.glue import GLUE_FOLDERS
from albert_core.tasks.source import Source
from albert_core.tasks.task import Task

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

# Of the real files: training, development and test rows, as the data's own README counts them.
ROWS = {
    "cola": (8551, 1043, 1063),
    "sst-2": (67349, 872, 1821),
    "mrpc": (3668, 408, 1725),
    "sts-b": (5749, 1500, 1379),
    "qqp": (8999, 1000, 0),
    "mnli": (9999, 9815, 1104),
    "qnli": (9999, 5463, 5463),
    "rte": (2490, 277, 3000),
    "wnli": (635, 71, 146),
    "squad1": (None, 10570, 0),
    "squad2": (None, 11873, 0),
    "race": (87866, 4887, 4934),
    "race-middle": (25421, 1436, 1436),
    "race-high": (62445, 3451, 3498),
    "tnews": (1185, 1098, 2010),
    "iflytek": (None, 1373, 1749),
    "csldcp": (2036, 2068, 1784),
    "eprstmt": (160, 160, 610),
    "bustm": (160, 160, 1772),
    "csl": (160, 160, 2838),
    "cluewsc": (160, 159, 976),
    "chid": (202, 202, 2002),
    "ocnli-few": (160, 160, 2520),
    "ocnli": (9985, 2950, 3000),  # without those labelled -
    "cmrc2018": (None, 3219, 0),
    "drcd": (None, 3524, 0),
}

DECLARATION = """
name: weather
texts: [1]
label: 0
dev: train.tsv
labels: [fine, wet]
metrics: [accuracy, f1]
"""


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    for name, texts in FILES.items():
        folder = tmp_path / GLUE_FOLDERS[name]
        folder.mkdir()
        for split, text in {**texts, "dev": texts["train"]}.items():
            (folder / f"{split}.tsv").write_bytes(text.encode())
    return tmp_path


@pytest.fixture(scope="module")
def data(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name in ("glue", "squad", "race", "clue"):
        with tarfile.open(shared / "data" / f"{name}.tar.xz") as archive:
            archive.extractall(folder, filter="data")
    return folder


@pytest.mark.parametrize("name", FILES)
def test_layout_of_glue_is_read(name: str, data_dir: Path) -> None:
    task, folder = find_task(name, data_dir)
    texts, targets = TEXTS.get(name, PAIRS), TARGETS.get(name, [1.0, 0.0])
    labelled = [
        Example(id=str(number), texts=text, target=target)
        for number, (text, target) in enumerate(zip(texts, targets, strict=True))
    ]
    assert read_examples(task, folder, "train") == labelled
    assert read_examples(task, folder, "dev") == labelled
    test = [dataclasses.replace(example, target=None) for example in labelled]
    assert read_examples(task, folder, "test") == test


@pytest.mark.parametrize("name", ROWS)
def test_real_files_are_read_whole(name: str, data: Path) -> None:
    task, folder = find_task(name, data)
    read = read_questions if task.kind == "question_answering" else read_examples
    for split, expected in zip(("train", "dev", "test"), ROWS[name], strict=True):
        if expected is not None:
            invalid_rows = InvalidRows(task.bad_rows)
            assert len(read(task, folder, split, invalid_rows=invalid_rows)) == expected
            assert not invalid_rows.counts


@pytest.mark.parametrize(
    ("name", "file", "count"),
    [
        ("mnli", "MNLI_16-13_train.tsv", 48),
        ("mnli", "MNLI_16-13_dev_matched.tsv", 48),
        ("qnli", "QNLI_16-13_train.tsv", 32),
        ("qqp", "QQP_16-13_train.tsv", 32),
    ],
)
def test_true_rows_with_all_their_columns_are_read(
    name: str, file: str, count: int, data: Path
) -> None:
    task = dataclasses.replace(TASKS[name], train=(Source(file=file),))
    examples = read_examples(task, data / "glue/format_samples", "train")
    assert len(examples) == count
    assert all("(" not in text[:1] for example in examples for text in example.texts)
    assert {example.target for example in examples} == set(range(len(task.labels)))


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
    with pytest.raises(InputError, match=r"dev\.tsv: not UTF-8 at byte 10; convert the file"):
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
    with pytest.raises(InputError, match=r"no file .*dev\.tsv; expected the task's dev set"):
        task_fingerprint(task, folder)


def test_fingerprint_follows_files_and_declaration(data_dir: Path) -> None:
    task, folder = find_task("rte", data_dir)
    original = task_fingerprint(task, folder)
    assert (
        task_fingerprint(dataclasses.replace(task, metrics=("matthews_correlation",)), folder)
        != original
    )
    assert task_fingerprint(task, folder, needs_training=False) == original
    (folder / "test.tsv").unlink()
    without_test = task_fingerprint(task, folder)
    assert without_test != original
    (folder / "train.tsv").unlink()
    assert task_fingerprint(task, folder, needs_training=False) not in (original, without_test)
    with pytest.raises(InputError, match=r"no file .*train\.tsv; expected the task's train set"):
        task_fingerprint(task, folder)


def test_fingerprint_follows_the_files_of_every_folder(tmp_path: Path) -> None:
    """Two files of one name, in two folders that a pattern matches, are two."""
    sources = {"train": (Source(file="*/train.tsv"),), "dev": (Source(file="dev.tsv"),)}
    task = Task(name="t", texts=(1,), labels=("0", "1"), metrics=("accuracy",), **sources)
    for name in ("a/train.tsv", "b/train.tsv", "dev.tsv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    before = task_fingerprint(task, tmp_path)
    (tmp_path / "a/train.tsv").write_text("changed")
    assert task_fingerprint(task, tmp_path) != before


def test_every_command_takes_the_folder_that_fine_tuning_takes(tmp_path: Path) -> None:
    """`evaluate`, which needs no training set, scores on the data set that was trained on."""
    for name in ("RTE/dev.tsv", "glue/RTE/train.tsv", "glue/RTE/dev.tsv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert find_task("rte", tmp_path)[1] == tmp_path / "glue/RTE"
    assert data_folder(TASKS["rte"], tmp_path) == tmp_path / "glue/RTE"
    (tmp_path / "glue/RTE/train.tsv").unlink()
    assert data_folder(TASKS["rte"], tmp_path) == tmp_path / "RTE"


def test_a_metric_that_is_twice_in_a_declaration_is_refused() -> None:
    with pytest.raises(InputError, match="task t: metrics: got f1 twice"):
        Task(name="t", texts=(1,), labels=("0", "1"), metrics=("f1", "accuracy", "f1"))


def test_folder_declares_its_own_task(tmp_path: Path) -> None:
    (tmp_path / "weather").mkdir()
    (tmp_path / "weather/task.yaml").write_text(DECLARATION)
    (tmp_path / "weather/train.tsv").write_text("label\ttext\nwet\tRain again.\n")
    rain = Example(id="0", texts=("Rain again.",), target=1.0)
    for name in ("weather", str(tmp_path / "weather/task.yaml")):
        task, folder = find_task(name, tmp_path)
        assert read_examples(task, folder, "train") == [rain]
        assert task.num_outputs == 2


def test_columns_go_by_name_too(tmp_path: Path) -> None:
    declaration = DECLARATION.replace("[1]", "[text]").replace("label: 0", "label: weather")
    (tmp_path / "weather.yaml").write_text(declaration)
    (tmp_path / "train.tsv").write_text("weather\ttext\nwet\tRain again.\n")
    task, folder = find_task(str(tmp_path / "weather.yaml"), tmp_path)
    assert read_examples(task, folder, "train")[0].texts == ("Rain again.",)
    (tmp_path / "train.tsv").write_text("weather\tsentence\nwet\tRain again.\n")
    with pytest.raises(InputError, match=r"no column 'text' in its header \(weather, sentence\)"):
        read_examples(task, folder, "train")


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        (DECLARATION.replace("[1]", "[0, 1, 2]"), "got 3 texts for train.tsv, expected 1 or 2"),
        (DECLARATION.replace("[fine, wet]", "[fine]"), "2 or more .* kind: regression"),
        (DECLARATION.replace("[fine, wet]", "[wet, wet]"), "2 or more different ones"),
        (DECLARATION.replace("[fine, wet]", "[fine, wet, dry]"), "f1 needs two labels"),
        (DECLARATION + "kind: regression\n", "got labels of a regression task"),
        (DECLARATION + "kind: question_answering\n", "expected none: its format"),
        (DECLARATION + "has_unanswerable: true\n", "has_unanswerable is about"),
        (DECLARATION + "combined: [matthews_correlation]\n", "got combined matthews"),
        (DECLARATION + "test: [a.tsv, b.tsv]\n", "a different name for each"),
        (
            DECLARATION.replace("labels: [fine, wet]", "kind: regression").replace(
                "accuracy, f1", "mean_squared_error"
            ),
            "got mean_squared_error as the first metric",
        ),
        (DECLARATION.replace("name: weather", "name: climate"), "expected the folder's"),
        (DECLARATION.replace("[accuracy, f1]", "[]"), "got metrics none"),
        (DECLARATION.replace("accuracy", "bleu"), r"task\.yaml.*metrics"),
        (DECLARATION + "lables: [a, b]\n", r"task\.yaml.*lables"),
        ("- a\n- b", r"task\.yaml: got a list, expected settings by name"),
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
    with pytest.raises(InputError, match=r"task cola: no dev.tsv in .* in CoLA or glue/CoLA"):
        find_task("cola", tmp_path)
