"""The leaderboard: its rows are whole, its page shows them, and a run gives a row of its own."""

import dataclasses
import datetime
import json
import re
from pathlib import Path

import pytest
import yaml

from albert_core.config import CONFIG_NAME
from albert_core.errors import InputError
from albert_core.places.links import update_places
from albert_core.presets import preset
from albert_core.training.flops import training_flops_per_token
from pipeline.config_files import read_config
from tests.benchmarks.leaderboard import main, repeat
from tests.benchmarks.leaderboard_rows import (
    PAGE_PATH,
    ROOT,
    Row,
    compare_rows,
    find_beaten_rows,
    parse_row,
    read_leaderboard,
    rendered_page,
)
from tests.benchmarks.leaderboard_run import row_from_run
from tests.helpers.run_folders import FIRST, FakeRun

BOARD = read_leaderboard()


@pytest.mark.parametrize("row", BOARD.rows, ids=lambda row: row.name)
def test_a_row_says_what_it_is_and_what_it_cost(row: Row) -> None:
    assert re.fullmatch(r"[a-z0-9.-]+", row.name)
    assert re.fullmatch(r"[0-9a-f]{7,40}\+?", row.commit)
    datetime.date.fromisoformat(row.date)
    for text in (row.budget, row.command, row.data, row.hardware):
        assert text
        assert not re.search(r"[|`\n]", text)
    assert row.minutes > 0
    assert row.tasks
    assert row.source or row.config
    if row.masked_lm is not None:
        assert row.masks
    for figures in row.tasks.values():
        values = [value for value in vars(figures).values() if isinstance(value, float)]
        assert all(-100 <= value <= 100 for value in values)
        assert (figures.std is not None) == (figures.num_seeds > 1)
    if row.config:
        assert read_config(ROOT / row.config)


def test_names_are_different_and_dates_in_order() -> None:
    assert len({row.name for row in BOARD.rows}) == len(BOARD.rows)
    assert [row.date for row in BOARD.rows] == sorted(row.date for row in BOARD.rows)


def test_a_new_row_beats_the_last_of_an_equal_budget() -> None:
    assert not find_beaten_rows(BOARD.rows)
    demo = BOARD.row("demo")
    figures = demo.tasks["docs-next"]
    worse, better = (
        dataclasses.replace(
            demo,
            name=name,
            tasks={"docs-next": dataclasses.replace(figures, score=figures.score + gain)},
        )
        for name, gain in (("worse", -0.1), ("better", 0.1))
    )
    assert find_beaten_rows([demo, worse, better]) == ["worse"]
    assert find_beaten_rows([demo, dataclasses.replace(demo, name="others", tasks={})]) == [
        "others"
    ]


def test_the_page_shows_the_rows() -> None:
    page = PAGE_PATH.read_text(encoding="utf-8")
    assert rendered_page(page, BOARD) == page  # else: -m tests.benchmarks.leaderboard --render


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"minutes": "long"}, "minutes"),
        ({"accuracy": 3}, "accuracy"),
        ({"tasks": {"cola": {"metric": "accuracy", "score": 1.0, "mean": 2.0}}}, "row demo: cola"),
    ],
)
def test_a_row_with_an_error_is_refused(changes: dict, reason: str) -> None:
    values = json.loads((ROOT / "docs" / "leaderboard.json").read_text(encoding="utf-8"))["rows"]
    demo = next(row for row in values if row["name"] == "demo")
    with pytest.raises(InputError, match=reason):
        parse_row({**demo, **changes})


def test_a_row_that_nothing_repeats_is_named_with_its_command() -> None:
    row = next(row for row in BOARD.rows if not row.config)
    with pytest.raises(InputError, match=f"got {row.name}, which no configuration"):
        repeat(row, ())
    with pytest.raises(InputError, match="expected one of"):
        BOARD.row("unknown")


NUM_TOKENS = 64 * 32 * 100
PRETRAINED = {
    "masked_lm_accuracy": 0.2512,
    "masked_lm_mask_token_accuracy": 0.1834,
    "sentence_order_accuracy": 0.68,
    "masking": "probability 0.15",
    "num_tokens": NUM_TOKENS,
    "tokens_per_second": NUM_TOKENS / 90,
    "trained_sequence_length": 512,  # by offsets of positions, further than the sequences
    "strategy": "single on 1 CPU device",
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of a tiny model with a task over three seeds and its control."""
    run = FakeRun(tmp_path / "run")
    config = {"title": "fake", "export": {"card": {"price_per_hour": 4.0, "currency": "USD"}}}
    (run.folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    architecture = preset("tiny", vocab_size=4000)
    pretrained = run.write(
        f"{FIRST}/pretrain/pretrained",
        "pretrain",
        config={
            "pretraining": {
                "num_train_steps": 100,
                "batch_size": 64,
                "num_warmup_steps": 1,
                "evaluation_interval_steps": 50,
            }
        },
        inputs={"records 32": "hash", "vocab": "hash"},
        files={CONFIG_NAME: json.dumps(architecture.to_dict()), "model.safetensors": "weights"},
        metrics=PRETRAINED,
    )
    seeds = {"num_seeds": 3, "accuracy_mean": 0.701, "accuracy_std": 0.012, "probe_score": 0.655}
    control = {**seeds, "accuracy_mean": 0.61, "accuracy_std": 0.02}
    tuned = run.write_task(FIRST, 0, "topic", tuned=seeds)
    random = run.write_task(FIRST, 1, "topic", initialization="random", tuned=control)
    report = run.write_report(FIRST, [pretrained, *tuned, *random])
    update_places(run.folder, report=report)
    return run.folder


def test_a_run_gives_its_row_from_its_own_files(run: Path) -> None:
    demo = BOARD.row("demo")
    row = row_from_run(run, demo)
    assert (row.name, row.config, row.budget) == (demo.name, demo.config, demo.budget)
    assert (row.minutes, row.price) == (1.5, "0.10 USD")
    assert (row.masked_lm, row.mask_token, row.sentence_order) == (25.1, 18.3, 68.0)
    per_token = training_flops_per_token(preset("tiny", vocab_size=4000), 32, 5)
    assert row.flop == pytest.approx(NUM_TOKENS * per_token, rel=0.01)
    assert row.date == datetime.datetime.now(datetime.UTC).date().isoformat()
    topic = row.tasks["topic"]
    assert (topic.num_seeds, topic.score, topic.std) == (3, 70.1, 1.2)
    assert (topic.random_weights, topic.random_weights_std) == (61.0, 2.0)
    assert (topic.majority, topic.probe, topic.without_model) == (50.0, 65.5, None)


def test_the_printed_row_can_be_stored_and_is_compared(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--run", str(run)]) == 0
    text, _, table = capsys.readouterr().out.partition("\nfigure")
    assert parse_row(json.loads(text)) == row_from_run(run, BOARD.row("demo"))
    assert "masked_lm" in table
    assert re.search(r"docs-next score +76\.1 +$", table, re.MULTILINE)
    assert re.search(r"topic score +70\.1 +$", table, re.MULTILINE)
    demo = BOARD.row("demo")
    figures = {name: (first, second) for name, first, second in compare_rows(demo, demo)}
    assert figures["docs-package without_model"] == (78.0, 78.0)


def test_a_folder_that_is_no_run_from_text_is_refused(tmp_path: Path, capsys) -> None:
    run = FakeRun(tmp_path / "run")
    update_places(run.folder)
    assert main(["demo", "--run", str(run.folder)]) == 2
    assert "expected a finished run from text" in capsys.readouterr().err
