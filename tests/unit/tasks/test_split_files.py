"""Files of splits are found by their names, as data sets of Hugging Face are laid out."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest

from albert_core.errors import InputError
from albert_core.tasks import TASKS, Source, Task, find_task, read_examples
from albert_core.tasks.description import describe_files
from albert_core.tasks.reading import SPLITS
from albert_core.tasks.split_files import with_found_files
from tests.unit.tasks.test_table_formats import (
    ROWS,
    write_csv,
    write_jsonl,
    write_parquet,
    write_tsv,
)

DECLARATION = """
name: weather
texts: [text, text_b]
label: label
labels: [fine, wet]
metrics: [accuracy]
"""
OWN = Task(name="own", texts=("text",), labels=("0", "1"), metrics=("accuracy",), dev=(), test=())


def files_of(task: Task, *names: str, undeclared: Sequence = ("train", "dev", "test")) -> list:
    found = with_found_files(task, names, undeclared, folder="data set")
    return [[source.file for source in getattr(found, split)] for split in ("train", "dev", "test")]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("train.tsv", "dev.tsv", "test.csv"), [["train.tsv"], ["dev.tsv"], []]),  # as ever
        (("train.csv", "dev.csv", "test.csv"), [["train.csv"], ["dev.csv"], ["test.csv"]]),
        (("train.csv", "README.md", "dataset_infos.json"), [["train.csv"], [], []]),
        (("train.tsv", "valid.jsonl"), [["train.tsv"], ["valid.jsonl"], []]),
        (
            (
                "README.md",
                "data/train-00000-of-00002.parquet",
                "data/train-00001-of-00002.parquet",
                "data/validation-00000-of-00001-0123456789abcdef.parquet",
                "data/test-00000-of-00001.parquet",
            ),
            [
                ["data/train-*-of-00002.parquet"],
                ["data/validation-*-of-00001*.parquet"],
                ["data/test-*-of-00001.parquet"],
            ],
        ),
        (("training.csv", "train.csv.zip", "dev_old.csv"), [["train.tsv"], [], []]),
        (("train.jsonl.zst", "dev.csv.gz"), [["train.jsonl.zst"], ["dev.csv.gz"], []]),
        (("train.csv", "train.csv.gz", "dev.parquet.gz"), [["train.csv"], [], []]),
    ],
)
def test_splits_are_found_by_their_names(names: tuple[str, ...], expected: list) -> None:
    assert files_of(OWN, *names) == expected


def test_columns_of_words_are_looked_for_only_for_tags() -> None:
    names = ("train.csv", "train.conll", "dev.csv")
    assert files_of(OWN, *names) == [["train.csv"], ["dev.csv"], []]
    tags = Task(name="own", kind="token_classification", labels=("O", "B-A"), metrics=("f1",))
    assert files_of(tags, "train.conll", "test.conll")[::2] == [["train.conll"], ["test.conll"]]


def test_words_in_columns_may_be_in_text_files() -> None:
    tags = Task(name="own", kind="token_classification", labels=("O", "B-A"), metrics=("f1",))
    found = files_of(tags, "train.txt", "valid.txt.gz", "test.conllu")
    assert found == [["train.txt"], ["valid.txt.gz"], ["test.conllu"]]
    assert files_of(OWN, "train.txt", "dev.txt") == [["train.tsv"], [], []]


@pytest.mark.parametrize("name", ["tnews", "iflytek", "csl", "cluewsc", "cmrc2018", "drcd"])
def test_files_of_clue_may_have_the_plain_names_of_its_first_version(name: str) -> None:
    task = TASKS[name]
    assert files_of(task, "train.json", "dev.json", "test.json") == [
        ["train.json"],
        ["dev.json"],
        ["test.json"],
    ]
    published = [source.file for source in (*task.train, *task.dev, *task.test)]
    names = (*published, "train.json", "dev.json", "test.json")
    assert with_found_files(task, names, SPLITS, folder="clue") == task


def test_a_test_file_found_by_a_plain_name_may_lack_labels(tmp_path: Path) -> None:
    folder = tmp_path / "clue/tnews"
    folder.mkdir(parents=True)
    for name in ("train", "dev"):
        (folder / f"{name}.json").write_text('{"label": "108", "sentence": "A", "keywords": ""}\n')
    (folder / "test.json").write_text('{"id": 0, "sentence": "B", "keywords": ""}\n')
    task, found = find_task("tnews", tmp_path)
    assert (found, task.test[0].is_labelled) == (folder, False)
    assert [len(read_examples(task, folder, split)) for split in SPLITS] == [1, 1, 1]


def test_what_is_there_is_named_where_no_file_is_the_splits(tmp_path: Path) -> None:
    (tmp_path / "squad").mkdir()
    (tmp_path / "squad/train.json").touch()
    (tmp_path / "squad/dev.json").touch()
    with pytest.raises(
        InputError, match=r"task squad1: no dev-v1\.1\.json .*, but dev\.json, train"
    ):
        find_task("squad1", tmp_path)


def test_a_data_set_that_was_saved_to_disk_is_named_with_the_way_to_parquet(tmp_path: Path) -> None:
    (tmp_path / "sst2/train").mkdir(parents=True)
    (tmp_path / "sst2/dataset_dict.json").write_text('{"splits": ["train"]}')
    (tmp_path / "sst2/train/data-00000-of-00001.arrow").touch()
    with pytest.raises(
        InputError, match=r", but dataset_dict\.json; .* save each split as Parquet"
    ):
        find_task("sst-2", tmp_path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("train.csv", "train.jsonl"), r"got train\.csv and train\.jsonl in data set, expected"),
        (("train.csv", "data/train.csv"), r"got data/train\.csv and train\.csv in data set"),
        (("train.csv", "dev.csv", "validation.csv"), r"got dev\.csv and validation\.csv in data"),
        (
            ("train-00000-of-00003.parquet", "train-00002-of-00003.parquet"),
            r"got 2 of 3 files train-\*-of-00003\.parquet in data set, expected all",
        ),
    ],
)
def test_what_may_be_one_or_the_other_is_refused(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=f"task own: {message}"):
        files_of(OWN, *names)


def test_what_is_declared_stays() -> None:
    declared = {"train": (Source(file="a.csv"),), "dev": (Source(file="b.csv"),)}
    task = dataclasses.replace(OWN, **declared)
    names = ("a.csv", "b.csv", "train.csv", "dev.csv", "test.csv")
    assert files_of(task, *names, undeclared=("test",)) == [["a.csv"], ["b.csv"], []]
    task = dataclasses.replace(OWN, train=declared["train"])
    names = ("a.csv", "dev.tsv", "test.tsv")
    assert files_of(task, *names, undeclared=("dev", "test")) == [["a.csv"], ["dev.tsv"], []]
    task = dataclasses.replace(OWN, dev=(Source(file="held.tsv"),))
    assert files_of(task, "train.csv", "dev.csv", undeclared=("train",)) == [
        ["train.csv"],
        ["held.tsv"],
        [],
    ]
    assert files_of(OWN, "train.csv", "dev.csv", undeclared=("train",)) == [["train.csv"], [], []]
    fraction = dataclasses.replace(OWN, dev_fraction=0.2)
    with pytest.raises(
        InputError, match=r"got dev_fraction 0\.2 with the dev files dev\.csv, expe"
    ):
        files_of(fraction, "train.csv", "dev.csv")


def test_published_files_of_built_in_tasks_may_have_hugging_faces_names() -> None:
    hub = [
        "train-00000-of-00001.parquet",
        "validation_matched-00000-of-00001.parquet",
        "validation_mismatched-00000-of-00001.parquet",
        "test_matched-00000-of-00001.parquet",
    ]
    found = with_found_files(TASKS["mnli"], hub, ("train", "dev", "test"), folder="mnli")
    assert [(source.name, source.file) for source in found.dev] == [
        ("matched", "validation_matched-*-of-00001.parquet"),
        ("mismatched", "validation_mismatched-*-of-00001.parquet"),
    ]
    assert [source.file for source in found.test] == [
        "test_matched-*-of-00001.parquet",
        "test_mismatched.tsv",
        "../diagnostic/diagnostic.tsv",
    ]
    assert found.test[0].submission == "MNLI-m.tsv"
    own = [
        *(source.file for source in (*TASKS["mnli"].train, *TASKS["mnli"].dev)),
        "test_matched.csv",
    ]
    assert with_found_files(TASKS["mnli"], own, SPLITS, folder="mnli") == TASKS["mnli"]
    squad = with_found_files(TASKS["squad1"], ["train.json"], ("train", "dev"), folder="squad")
    assert squad == TASKS["squad1"]
    names = ["train-00000-of-00001.parquet", "validation-00000-of-00001.parquet"]
    squad = with_found_files(TASKS["squad2"], names, ("train", "dev"), folder="squad_v2")
    assert [one.file for one in (*squad.train, *squad.dev)] == [
        "train-*-of-00001.parquet",
        "validation-*-of-00001.parquet",
    ]


@pytest.mark.parametrize("ending", ["tsv", "csv", "jsonl", "parquet"])
def test_every_folder_gives_the_same_examples_and_says_what_it_is(
    ending: str, tmp_path: Path
) -> None:
    write = {"tsv": write_tsv, "csv": write_csv, "jsonl": write_jsonl, "parquet": write_parquet}
    folder = tmp_path / "weather"
    folder.mkdir()
    (folder / "task.yaml").write_text(DECLARATION)
    (folder / "README.md").write_text("# Weather")
    for split in ("train", "validation"):
        write[ending](folder / f"{split}.{ending}")
    write[ending](folder / f"test.{ending}", [(*row[:3], "") for row in ROWS])
    task, found = find_task("weather", tmp_path)
    assert found == folder
    for split in ("train", "dev", "test"):
        examples = read_examples(task, folder, split)  # type: ignore[arg-type]
        assert [one.texts for one in examples] == [row[1:3] for row in ROWS]
        assert [one.target for one in examples] == ([None] * 3 if split == "test" else [1, 0, 1])
    title = {"tsv": "TSV", "csv": "CSV", "jsonl": "JSON lines", "parquet": "Parquet"}[ending]
    assert describe_files(task, folder) == (
        f"train: train.{ending} ({title}); dev: validation.{ending} ({title}); "
        f"test: test.{ending} ({title}, without labels)"
    )


def test_a_test_file_with_labels_is_scored_and_one_without_is_not(tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text(DECLARATION)
    write_parquet(tmp_path / "train.parquet")
    features = {"label": {"names": ["fine", "wet"], "_type": "ClassLabel"}}
    for label, target in ((1, 1), (-1, None)):
        rows = [(*row[:3], label) for row in ROWS]
        write_parquet(tmp_path / "test.parquet", rows, features=features)
        task, folder = find_task(str(tmp_path / "task.yaml"), tmp_path)
        assert read_examples(task, folder, "test")[0].target == target


def test_a_test_file_between_tabs_that_is_named_csv_is_scored(tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text(DECLARATION)
    for split in ("train", "dev", "test"):
        write_tsv(tmp_path / f"{split}.csv")
    task, folder = find_task(str(tmp_path / "task.yaml"), tmp_path)
    assert [one.target for one in read_examples(task, folder, "test")] == [1, 0, 1]


def test_a_folder_of_shards_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text(DECLARATION)
    for shard in range(2):
        write_parquet(tmp_path / f"data/train-0000{shard}-of-00002.parquet", ROWS[shard:])
    write_parquet(tmp_path / "data/validation-00000-of-00001.parquet")
    task, folder = find_task(str(tmp_path / "task.yaml"), tmp_path)
    examples = read_examples(task, folder, "train")
    assert [one.texts for one in examples] == [row[1:3] for row in (*ROWS, *ROWS[1:])]
    assert describe_files(task, folder) == (
        "train: data/train-*-of-00002.parquet (Parquet, 2 files); "
        "dev: data/validation-*-of-00001.parquet (Parquet)"
    )


def test_a_folder_without_training_files_says_what_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text(DECLARATION)
    with pytest.raises(
        InputError, match=r"task weather: no train\.tsv in .*or named train, dev \("
    ):
        find_task(str(tmp_path / "task.yaml"), tmp_path)
