"""The report page: complete, well-formed, safe with hostile names, alone, the same every time."""

import dataclasses
import math
import re
from pathlib import Path

import pytest

from components.report.page import render_page
from components.report.summary import FilledSample
from tests.helpers.report_pages import HOSTILE, Page, make_run, make_step, make_task
from tests.helpers.stopped_work import contents

SVG_NAMESPACES = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


@pytest.fixture(scope="module")
def text() -> str:
    return render_page(make_run())


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_pages_of_one_run_differ_in_times_alone(tmp_path: Path) -> None:
    """As the tests that kill a report compare them."""

    def content(*, seconds: float, created: str, num_things: int = 7, end: int = 0) -> str:
        rates = {"tokens_per_second": 10 * seconds, "input_wait_fraction": seconds / 100}
        steps = [
            dataclasses.replace(step, metrics={**rates, "num_things": num_things})
            for step in (make_step("vocab"), make_step("pretrain", seconds))
        ]
        page = render_page(make_run(steps=steps, created=created))
        (tmp_path / "index.html").write_text(page[: end or None])
        return contents(tmp_path)["index.html"]

    first = content(seconds=9.5, created="2026-11-03T12:41:07+00:00")
    later = {"seconds": 75.0, "created": "2026-12-04T08:00:00+00:00"}
    assert content(**later) == first
    assert content(**later, num_things=8) != first
    with pytest.raises(AssertionError, match="is cut off"):
        content(**later, end=-20)


def test_shows_every_task_step_and_score(page: Page) -> None:
    for expected in (
        *("docs-package", "78.3", "66.1", "51.0", "+27.3 (+25.3 to +29.3)", "12,044", "1,320"),
        *(
            "cola",
            "Matthews correlation",
            "18.7",
            "+18.7 (+16.7 to +20.7)",
            "Matthews correlation 18.7 · F1 65.4",
        ),
        *("vocab", "records", "pretrain", "12.5 s", "1 h 02 min"),
    ):
        assert expected in page.texts, expected


def test_shows_headline_metrics(page: Page) -> None:
    start = page.texts.index("Masked LM accuracy")
    headlines = page.texts[start : start + 9]
    assert headlines[1:3] == ["40.0%", "held-out, step 2,000; most frequent token: 5.2%"]
    assert headlines[4:6] == ["62.5%", "held-out, step 2,000; chance: 50.0%"]
    assert headlines[7:9] == [
        "+23.0",
        "points over majority, 2 tasks; +12.2 over random weights (1 task)",
    ]


def test_headline_is_the_best_evaluation_which_is_the_one_kept() -> None:
    history = [{"global_step": step, "masked_lm_accuracy": a} for step, a in ((1, 0.5), (2, 0.4))]
    history.append({"global_step": 3, "masked_lm_accuracy": math.nan})
    page = Page(render_page(make_run(pretraining_history=history)))
    start = page.texts.index("Masked LM accuracy")
    assert page.texts[start + 1] == "50.0%"
    assert page.texts[start + 2].startswith("held-out, step 1;")


def test_headline_is_the_best_evaluation_of_the_last_phase_whose_weights_are_published() -> None:
    rows = ((1, 0, 0.6), (2, 0, 0.5), (3, 1, 0.3), (4, 1, 0.4), (5, 1, 0.35))
    history = [
        {"global_step": step, "phase": phase, "masked_lm_accuracy": accuracy}
        for step, phase, accuracy in rows
    ]
    page = Page(render_page(make_run(pretraining_history=history)))
    start = page.texts.index("Masked LM accuracy")
    assert page.texts[start + 1] == "40.0%"
    assert page.texts[start + 2].startswith("held-out, step 4;")


def test_shows_evaluations_statistics_and_settings(page: Page) -> None:
    for expected in (
        *("1,000", "7.250", "7.375", "6.500", "3 min 20 s"),
        *("Vocab size", "4,000", "Unknown", "0.0213%", "▁large", "Large values."),
        *("Train records", "88,012", "Padding", "6.1%"),
        *("optimizer.learning_rate", "0.00176", "num_things", "9f31c02ab77e"),
        "2026-11-03 12:41 UTC",
    ):
        assert expected in page.texts, expected


def test_shows_masked_lm_by_what_the_model_saw_the_masks_and_the_ranks(page: Page) -> None:
    history = make_run().pretraining_history
    measured = {
        "masked_lm_mask_token_accuracy": 0.088,
        "masked_lm_mask_token_loss": 6.75,
        "masked_lm_mask_token_fraction": 0.801,
        "masked_lm_random_fraction": 0.0,
        "masking": "15 % of the tokens; <b>",
        "pooled_output_effective_rank": 2.41,
        "mean_output_effective_rank": 37.5,
        "max_effective_rank": 128,
    }
    rows = [*history[:-1], {**history[-1], **measured}]
    shown = Page(render_page(make_run(pretraining_history=rows)))
    start = shown.texts.index("Masked LM by what the model is shown")
    assert "the same masks: 15 % of the tokens; <b>." in " ".join(shown.texts[start + 1].split())
    begin = shown.texts.index("[MASK]", start)
    assert shown.texts[begin : begin + 4] == ["[MASK]", "80.1%", "6.750", "8.8%"]
    assert "random token" not in shown.texts
    ranks = "2.41 (pooled output), 37.5 (mean of the tokens) of 128."
    assert any(ranks in text for text in shown.texts)
    assert "held-out, [MASK]" in shown.texts  # in the chart
    assert "held-out, [MASK]" not in page.texts
    assert "[MASK]: 8.8%" in shown.texts[shown.texts.index("Masked LM accuracy") + 2]
    # Runs of earlier versions have none of it.
    assert "Masked LM by what the model is shown" not in page.texts


def test_shows_replaced_token_detection_and_whose_masked_lm_it_is(page: Page) -> None:
    detection = {
        "replaced_token_accuracy": 0.951,
        "replaced_token_loss": 0.125,
        "replaced_token_precision": 0.832,
        "replaced_token_recall": 0.617,
        "replaced_token_fraction": 0.088,
        "replaced_token_predicted_fraction": 0.07,
    }
    rows = [{**row, **detection} for row in make_run().pretraining_history]
    sample = FilledSample(before="a ", expected="b", after=".", candidates=[("b", 0.5)])
    run = make_run(pretraining_history=rows, filled_samples=[sample])
    shown = Page(render_page(run))
    start = shown.texts.index("Replaced-token detection")
    assert shown.texts[start + 1] == "95.1%"
    assert shown.texts[start + 2] == (
        "held-out, step 2,000; precision 83.2%; recall 61.7%; taking none for replaced: 91.2%"
    )
    assert shown.texts[start + 3 : start + 5] == ["Masked LM accuracy of the generator", "40.0%"]
    assert shown.tags.count("svg") == 4 + 2
    begin = shown.texts.index("2,000", shown.texts.index("RTD recall"))
    assert shown.texts[begin + 9 : begin + 13] == ["0.125", "95.1%", "83.2%", "61.7%"]
    assert "Masked words filled by the generator" in shown.texts
    assert any('load("pretrained/generator").fill_mask' in text for text in shown.texts)
    # The small generator is not compared with the reference run; sentence order is.
    assert page.texts.count("reference run") == 2
    assert shown.texts.count("reference run") == 1
    # Without any such evaluation there is nothing of it.
    assert not any("RTD" in text or "generator" in text for text in page.texts)


def test_draws_three_pretraining_charts_and_one_a_task(page: Page) -> None:
    assert page.tags.count("svg") == 3 + 2
    assert "most frequent token" in page.texts
    assert page.texts.count("majority") == 2


def test_ids_are_unique_and_references_resolve(text: str, page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))
    references = re.findall(r"url\(#([^)]+)\)", text)
    references += [value[1:] for _, name, value in page.attributes if name == "xlink:href"]
    assert references
    assert set(references) <= set(page.ids)


def test_needs_nothing_from_outside(text: str, page: Page) -> None:
    addresses = set(re.findall(r"https?://[^\s\"'<>)]*", text))
    assert addresses == SVG_NAMESPACES
    for _, name, value in page.attributes:
        if "://" in value:
            assert name.startswith("xmlns")
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert "@import" not in text
    assert {value[0] for _, name, value in page.attributes if name in ("href", "src")} <= {"#"}


def test_same_summary_gives_same_bytes(text: str) -> None:
    assert render_page(make_run()).encode() == text.encode()


def test_hostile_names_are_text() -> None:
    hostile_task = make_task(
        HOSTILE,
        metric=HOSTILE,
        metrics={HOSTILE: 0.5, "f1": 0.5},
        history=[{"global_step": 1, HOSTILE: 0.5}],
    )
    hostile_step = dataclasses.replace(
        make_step(HOSTILE),
        config={HOSTILE: HOSTILE, "list": [HOSTILE]},
        metrics={HOSTILE: HOSTILE},
        code_version=HOSTILE,
    )
    text = render_page(
        make_run(
            title=HOSTILE,
            tasks=[hostile_task, make_task("$x^2$", metric="$\\alpha_{")],
            steps=[hostile_step],
            vocabulary={HOSTILE: HOSTILE, "examples": [{"text": HOSTILE, "pieces": [HOSTILE]}]},
            records={HOSTILE: HOSTILE},
        )
    )
    page = Page(text)
    assert "<script" not in text
    assert "script" not in page.tags
    assert page.texts.count(HOSTILE) >= 10
    assert not any(name.startswith("on") for _, name, _ in page.attributes)


def test_run_without_tasks() -> None:
    page = Page(render_page(make_run(tasks=())))
    assert "No task was fine-tuned in this run." in page.texts
    assert page.texts[page.texts.index("Mean task gain") + 1] == "–"
    assert "finetuning" not in page.ids


def test_run_without_pretraining_vocabulary_records_and_steps() -> None:
    empty = make_run(pretraining_history=(), vocabulary={}, records={}, tasks=(), steps=())
    page = Page(render_page(empty))
    assert "svg" not in page.tags
    assert "No held-out evaluation was recorded." in page.texts
    assert not {"vocabulary", "records"} & set(page.ids)
