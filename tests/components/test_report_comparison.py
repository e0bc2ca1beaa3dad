"""Runs side by side: scores with differences, curves over one another, settings that differ."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from albert_core.errors import InputError
from components.report.comparison import compare, name_runs, write_comparison
from components.report.summary import RunSummary
from pipeline.cli.main import main
from tests.helpers.report_pages import HOSTILE, Page, make_run, make_step, make_task


def write_run(folder: Path, run: RunSummary) -> str:
    """Write a report's summary where a run's folder has it; return the run's folder."""
    (folder / "report").mkdir(parents=True)
    text = json.dumps(dataclasses.asdict(run))
    (folder / "report" / "summary.json").write_text(text, encoding="utf-8")
    return str(folder)


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    first = make_run(tasks=[make_task("topic", interval=(0.76, 0.80)), make_task("only-here")])
    step = dataclasses.replace(
        make_step("pretrain"), config={"seed": 2, "optimizer": {"learning_rate": 0.00176}}
    )
    second = make_run(
        tasks=[make_task("topic", score=0.65, interval=(0.63, 0.67))],
        steps=[make_step("vocab"), make_step("records"), step],
    )
    return [write_run(tmp_path / "long", first), write_run(tmp_path / "short", second)]


def test_scores_settings_and_curves_stand_side_by_side(runs, tmp_path, capsys):
    assert main(["report", *runs, "--output", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out" / "index.html")
    text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    for expected in (
        *("long", "short", "topic", "78.3", "65.0", "−13.3 (−16.2 to −10.5)", "only-here"),
        *("pretrain", "seed", "1", "2"),
    ):
        assert expected in page.texts, expected
    # A setting that is missing is one that is None; those of the vocabulary are the same.
    assert not {"checkpoint", "vocab"} & set(page.texts)
    assert page.tags.count("svg") == 3 + 2
    assert "://" not in text.replace("http://www.w3.org/", "")
    values = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert values["tasks"][1]["scores"][1]["score"] is None
    before = (tmp_path / "out" / "manifest.json").read_bytes()
    assert main(["report", *runs, "--output", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "manifest.json").read_bytes() == before


def test_reports_of_earlier_versions_and_old_names_are_compared(runs):
    values = [json.loads((Path(run) / "report" / "summary.json").read_text()) for run in runs]
    for task in values[1]["tasks"]:
        del task["differences"], task["analysis"], task["interval"]
    del values[1]["verdict"]
    values[1]["steps"][0]["config"] = {**values[1]["steps"][0]["config"], "warmup_share": 0.1}
    values[0]["steps"][0]["config"]["warmup_ratio"] = 0.1
    comparison = compare(["a", "b"], values)
    assert comparison.tasks[0].scores[1].gain == pytest.approx(0.65 - 0.7834)
    assert comparison.tasks[0].scores[1].gain_interval is None
    assert [one.step for one in comparison.settings] == ["pretrain"]


def test_names_are_short_and_differ():
    assert name_runs(["runs/a", "runs/b/"]) == ["a", "b"]
    assert name_runs(["x/a", "y/a"]) == ["x/a", "y/a"]
    assert name_runs(["x/a", "x/a"]) == ["x/a (1)", "x/a (2)"]


def test_hostile_names_of_runs_and_settings_are_text(tmp_path):
    tasks = [make_task(HOSTILE, metric="$\\alpha_{")]
    step = dataclasses.replace(make_step(HOSTILE), config={HOSTILE: HOSTILE})
    folders = [
        write_run(tmp_path / "$x$ <b>", make_run(tasks=tasks, steps=[step])),
        write_run(tmp_path / "b", make_run(tasks=tasks, steps=[make_step(HOSTILE)])),
    ]
    write_comparison(folders, output=tmp_path / "out")
    text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "<script" not in text
    assert {"b", "script"}.isdisjoint(Page(text).tags)
    assert "$x$ <b>" in Page(text).texts


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected the outputs of all steps, or the folder of a run"),
        (["RUN", "--vocab_dir", "v"], "got both runs and --vocab_dir"),
        (["RUN", "--exported_dir", "v"], "got both runs and --exported_dir"),
        (["RUN", "--promotion_dir", "v"], "got both runs and --promotion_dir"),
        (["RUN", "--title", "albert"], "got both runs and --title"),
        (["RUN", "RUN", "--title", "both"], "got both runs and --title"),
        (["RUN", "nowhere"], "nowhere: no report there; expected the folder of a finished run"),
        (["RUN"] * 9, "got 9 runs to compare, expected 2 to 8"),
    ],
)
def test_what_cannot_be_reported_is_refused(runs, tmp_path, capsys, arguments, message):
    arguments = [runs[0] if argument == "RUN" else argument for argument in arguments]
    assert main(["report", *arguments, "--output", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    with pytest.raises(InputError):
        write_comparison(runs[:1], output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_summary_is_named(runs, tmp_path, capsys):
    damaged = tmp_path / "damaged"
    shutil.copytree(runs[0], damaged)
    summary = damaged / "report" / "summary.json"
    summary.write_bytes(summary.read_bytes()[:100])
    arguments = ["report", runs[0], str(damaged), "--output", str(tmp_path / "out")]
    assert main(arguments) == 2
    assert f"{summary}: not JSON" in capsys.readouterr().err
