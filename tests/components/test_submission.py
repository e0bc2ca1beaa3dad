"""The archive for GLUE's site, and the files of predictions for SQuAD and RACE."""

import dataclasses
import json
import zipfile
from pathlib import Path

import pytest

from albert_core.artifacts.manifest import Manifest, OutputFolder
from albert_core.tasks import TASKS
from components.report.page import render_page
from components.report.published import parse_row, published_tables
from components.report.submission import (
    HEADER,
    NUM_ROWS,
    SubmissionFile,
    check_file,
    copy_predictions,
    fill_file,
    write_submission,
)
from tests.helpers.report_pages import Page, make_run, make_task

# GLUE's sample submission: what its files are called, and what their predictions look like.
SAMPLE = {
    "AX.tsv": {"contradiction", "entailment", "neutral"},
    "CoLA.tsv": {"0", "1"},
    "MNLI-m.tsv": {"contradiction", "entailment", "neutral"},
    "MNLI-mm.tsv": {"contradiction", "entailment", "neutral"},
    "MRPC.tsv": {"0", "1"},
    "QNLI.tsv": {"entailment", "not_entailment"},
    "QQP.tsv": {"0", "1"},
    "RTE.tsv": {"entailment", "not_entailment"},
    "SST-2.tsv": {"0", "1"},
    "STS-B.tsv": None,  # numbers
    "WNLI.tsv": {"0", "1"},
}


def manifest_of(task: str, initialization: str = "pretrained") -> Manifest:
    return Manifest(
        step="evaluate",
        fingerprint="0",
        config={"task": task, "initialization": initialization},
        inputs={},
        files={},
        metrics={},
        seconds=1.0,
        code_version="0",
    )


def write_evaluation(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A submission of two tasks, one of them cut short, and a baseline that is not handed in."""
    folder = tmp_path_factory.mktemp("submission")
    rte = "\n".join([HEADER, *(f"{n}\tnot_entailment" for n in range(3000))]) + "\n"
    runs = [
        ("rte", "pretrained", {"submission/RTE.tsv": rte}),
        ("cola", "pretrained", {"submission/CoLA.tsv": f"{HEADER}\n0\t1\n2\tyes\n"}),
        ("rte", "random", {"submission/RTE.tsv": f"{HEADER}\n0\tentailment\n"}),
        ("topic", "pretrained", {"submission/Topic.tsv": f"{HEADER}\n0\tsea\n"}),
    ]
    folders = [
        write_evaluation(folder / str(number), **files) for number, (_, _, files) in enumerate(runs)
    ]
    manifests = [manifest_of(task, initialization) for task, initialization, _ in runs]
    path = folder / "glue_submission.zip"
    files = write_submission(list(map(OutputFolder, folders, manifests)), path)
    with zipfile.ZipFile(path) as opened:
        texts = {name: opened.read(name).decode() for name in opened.namelist()}
    return {file.name: file for file in files}, texts


def test_it_has_the_eleven_files_of_the_sample_with_its_header_rows_and_labels(archive):
    _, texts = archive
    assert set(texts) == set(SAMPLE) == set(NUM_ROWS)
    for name, allowed in SAMPLE.items():
        if name == "CoLA.tsv":  # the one that was cut short
            continue
        header, *lines = texts[name].splitlines()
        rows = [line.split("\t") for line in lines]
        assert header == "index\tprediction"
        assert [row[0] for row in rows] == [str(index) for index in range(NUM_ROWS[name])]
        if allowed is None:
            assert {0 <= float(row[1]) <= 5 for row in rows} == {True}
            assert len({row[1] for row in rows}) > 1  # no correlation with a constant
        else:
            assert {row[1] for row in rows} <= allowed


def test_it_says_what_was_predicted_and_what_was_filled(archive):
    files, texts = archive
    assert {name for name, file in files.items() if file.is_predicted} == {"RTE.tsv", "CoLA.tsv"}
    assert files["RTE.tsv"].remarks == ()
    assert texts["RTE.tsv"].count("not_entailment") == 3000  # not the baseline's
    assert files["AX.tsv"].task == "mnli"


def test_it_says_why_the_site_would_refuse_a_file(archive):
    files, _ = archive
    assert files["CoLA.tsv"].remarks == (
        "got 2 rows, expected the 1,063 of GLUE's test set",
        "got '2\\tyes' in row 2, expected the numbers from 0 on as indexes",
        "got '2\\tyes' in row 2, expected a prediction of 0, 1",
    )
    assert all(not file.remarks for name, file in files.items() if name != "CoLA.tsv")


def test_scores_must_be_finite_and_the_header_the_samples():
    task = TASKS["sts-b"]
    assert list(check_file("id\tscore\n0\tnan\n", task, num_rows=1)) == [
        "got the header 'id\\tscore', expected 'index\\tprediction'",
        "got '0\\tnan' in row 1, expected a number as prediction",
    ]
    assert list(check_file(fill_file(task, 9), task, num_rows=9)) == []


def test_no_archive_without_predictions(tmp_path):
    folder = write_evaluation(tmp_path / "one", **{"metrics.json": "{}"})
    assert write_submission([OutputFolder(folder, manifest_of("squad2"))], tmp_path / "x.zip") == []
    assert not (tmp_path / "x.zip").exists()


def test_predictions_for_squad_and_race_are_copied_and_others_are_not(tmp_path):
    answers = json.dumps({"q1": "Rome"})
    squad = {"predictions_dev.json": answers, "null_odds_dev.json": "{}", "metrics.json": "{}"}
    table = {"predictions_test_high.tsv": "id\tprediction\n"}
    folders = [
        write_evaluation(tmp_path / "squad", **squad),
        write_evaluation(tmp_path / "race", **table),
        write_evaluation(tmp_path / "cola", **table),
        write_evaluation(tmp_path / "random", **squad),
    ]
    manifests = [
        *(manifest_of(task) for task in ("squad2", "race", "cola")),
        manifest_of("squad2", "random"),
    ]
    names = copy_predictions(list(map(OutputFolder, folders, manifests)), tmp_path / "predictions")
    assert names == [
        "race/predictions_test_high.tsv",
        "squad2/null_odds_dev.json",
        "squad2/predictions_dev.json",
    ]
    assert (tmp_path / "predictions/squad2/predictions_dev.json").read_text() == answers


def test_the_published_scores_stand_beside_the_runs():
    squad = make_task("squad2", metric="f1", metrics={"f1": 0.8213, "exact": 0.7931})
    cola = make_task("cola", metrics={"matthews_correlation": 0.5049, "accuracy": 0.8})
    race = make_task("race", metrics={"accuracy": 0.6, "test_accuracy": 0.6681})
    by_size, glue = published_tables([squad, cola, race], size="base v2")
    assert by_size.rows[0] == ("this run (base v2)", ["", "82.1/79.3", "", "", "66.8"])
    assert by_size.same_size == "base v2"
    assert dict(by_size.rows)["base v2"] == ["90.2/83.2", "82.1/79.3", "84.6", "92.9", "66.8"]
    assert len(by_size.rows) == 1 + 8
    assert glue.rows[0][1] == ["", "", "", "", "", "", "50.5", ""]
    assert {len(cells) for _, cells in (*by_size.rows, *glue.rows)} == {5, 8}
    assert not by_size.has_dev_race
    dev_race = dataclasses.replace(race, metrics={"accuracy": 0.6})
    (table,) = published_tables([dev_race], size="")
    assert (table.rows[0], table.has_dev_race) == (("this run", ["", "", "", "", "60.0"]), True)


def test_no_published_scores_for_tasks_of_ones_own():
    assert published_tables([make_task("docs-package")], size="base v1") == []


def test_published_scores_of_tasks_are_those_of_the_tables():
    by_size, glue = published_tables([make_task("mnli")], size="")
    for table in (by_size, glue):
        for name, cells in table.rows[1:]:
            column = {"xxlarge, 1.5M steps": "ALBERT-xxlarge (1.5M steps)", "base v2": ""}.get(name)
            for task, cell in zip(table.tasks, cells, strict=True):
                scores = TASKS[task].paper_scores
                known = scores.get("ALBERT-base v2" if column == "" else column or name)
                assert known is None or f"{known:.1f}" == cell.partition("/")[0]


def test_a_row_of_a_table_is_a_name_and_cells():
    assert parse_row("base v2     90.2/83.2  84.6") == ("base v2", ["90.2/83.2", "84.6"])


def test_the_page_of_a_run_from_a_checkpoint_has_its_start_the_table_and_the_files():
    start = {
        "source": "albert_base/model.ckpt-best",
        "kind": "tf1",
        "size": "base v2",
        "num_parameters": 11_683_584,
        "vocab_size": 30_000,
        "lower_case": True,
        "heads": "masked_lm, sentence_order",
        "notes": ["left out global_step 5"],
    }
    files = [
        SubmissionFile(name="RTE.tsv", task="rte", num_rows=3000, is_predicted=True),
        SubmissionFile(name="AX.tsv", task="mnli", num_rows=9, is_predicted=False, remarks=("x",)),
    ]
    run = make_run(
        checkpoint=start,
        vocabulary={},
        records={},
        pretraining_history=(),
        tasks=[make_task("rte", score=0.7, metrics={"accuracy": 0.7})],
        submission=files,
        predictions=["predictions/squad2/predictions_dev.json"],
    )
    page = Page(render_page(run))
    text = " ".join(page.texts)
    for expected in (
        *("11,683,584", "albert_base/model.ckpt-best", "Note: left out global_step 5."),
        *("Published scores", "this run (base v2)", "70.0", "89.2"),
        *("RTE.tsv", "3,000", "of this run", "filled", "The site would refuse it: x."),
        "predictions/squad2/predictions_dev.json",
    ):
        assert expected in text, expected
    assert "Masked LM accuracy" not in text
    assert "checkpoint" in page.ids
    assert "pretraining" not in page.ids
