"""The tables at the end of a run: the numbers shown are those of what was published."""

import pytest

from pipeline.cli.tables import make_console, print_classes, print_result, print_scores, steps_table


def make_summary(**changes: object) -> dict:
    return {
        "steps": [
            {
                "name": "vocab",
                "seconds": 1.25,
                "metrics": {"vocab_size": 30000, "tokens_per_word": 1.23456, "unknown_fraction": 0},
            }
        ],
        "tasks": [
            {
                "name": "cola",
                "metric": "matthews_correlation",
                "score": 0.4567,
                "random_weights_score": None,
                "majority_score": 0.0,
            }
        ],
        "pretraining_history": [
            {"global_step": 10, "masked_lm_accuracy": 0.5, "sentence_order_accuracy": 0.8},
        ],
        "most_frequent_fraction": 0.05,
        "checkpoint": {},
        "submission": [],
        "exports": [],
        "promotion": None,
        **changes,
    }


def printed_rows(capsys: pytest.CaptureFixture[str], summary: dict) -> dict[str, list[str]]:
    """Return the words of each printed line by its first word."""
    print_result(summary, frozenset({"vocab"}), "/run/index.html")
    lines = capsys.readouterr().out.splitlines()
    return {line.split()[0]: line.split() for line in lines if line.strip()}


def test_the_evaluation_shown_is_that_of_the_last_phase_even_if_an_earlier_one_was_better(capsys):
    history = [
        {"phase": 0, "masked_lm_accuracy": 0.61, "sentence_order_accuracy": 0.90},
        {"phase": 1, "masked_lm_accuracy": 0.42, "sentence_order_accuracy": 0.85},
        {"phase": 1, "masked_lm_accuracy": 0.40, "sentence_order_accuracy": 0.88},
    ]
    rows = printed_rows(capsys, make_summary(pretraining_history=history))
    assert rows["masked"] == ["masked", "LM", "accuracy", "42.0", "5.0"]
    assert rows["sentence"] == ["sentence", "order", "accuracy", "85.0", "50.0"]


def test_with_replaced_token_detection_masked_lm_is_named_the_generator_s(capsys):
    rows = [
        {
            "global_step": step,
            "replaced_token_accuracy": 0.9 + step / 1000,
            "replaced_token_fraction": 0.08,
            "masked_lm_accuracy": 0.5 - step / 1000,
            "sentence_order_accuracy": 0.8,
        }
        for step in (10, 20)
    ]
    shown = printed_rows(capsys, make_summary(pretraining_history=rows))
    assert shown["replaced"] == ["replaced", "tokens", "accuracy", "92.0", "92.0"]
    assert shown["masked"] == ["masked", "LM", "(generator)", "accuracy", "48.0", "5.0"]


def test_masked_lm_is_also_shown_by_what_the_model_saw_with_the_masks_named(capsys):
    row = {
        **make_summary()["pretraining_history"][0],
        "masked_lm_mask_token_accuracy": 0.088,
        "masked_lm_unchanged_accuracy": 0.899,
        "masking": "15 % of the tokens",
    }
    print_result(make_summary(pretraining_history=[row]), frozenset(), "index.html")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    first = lines.index(["masked", "LM", "accuracy", "50.0", "5.0"])
    assert lines[first + 1 : first + 4] == [
        ["-", "[MASK]", "accuracy", "8.8"],
        ["-", "unchanged", "token", "accuracy", "89.9"],
        ["sentence", "order", "accuracy", "80.0", "50.0"],
    ]
    assert ["Masks", "of", "held-out", "text:", "15", "%", "of", "the", "tokens"] in lines


def test_the_verdict_and_the_score_without_a_model_are_shown(capsys):
    task = {**make_summary()["tasks"][0], "random_weights_score": 0.1, "without_model_score": 0.2}
    summary = make_summary(tasks=[task], verdict={"answer": "Pretraining paid: more."})
    rows = printed_rows(capsys, summary)
    assert rows["cola"][-4:] == ["45.7", "10.0", "20.0", "0.0"]
    assert rows["Pretraining"] == ["Pretraining", "paid:", "more."]
    reply = {"question": "Is it better?", "answer": "No: TF-IDF scores better."}
    assert printed_rows(capsys, make_summary(verdict=reply))["Is"][2:5] == [
        "better?",
        "No:",
        "TF-IDF",
    ]


def test_steps_and_tasks_are_shown_with_their_key_metrics(capsys):
    rows = printed_rows(capsys, make_summary())
    assert rows["vocab"][:3] == ["vocab", "1.2", "run"]
    assert "vocab_size 30,000, tokens_per_word 1.235" in " ".join(rows["vocab"])
    assert rows["cola"] == ["cola", "matthews", "correlation", "45.7", "0.0"]
    assert rows["Report:"] == ["Report:", "/run/index.html"]


def test_steps_for_several_lengths_and_tasks_have_the_key_metrics_of_their_kind(capsys):
    records = {"num_documents": 1234, "run_length_fractions": [0.6, 0.4]}
    steps = [
        {"name": "records 64", "seconds": 1.2, "metrics": records},
        {"name": "finetune cola", "seconds": 3.4, "metrics": {"accuracy": 0.5, "num_dev": 9}},
    ]
    make_console().print(steps_table(steps, dict.fromkeys(("records 64", "finetune cola"), "run")))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["records", "64", "1.2", "run", "num_documents", "1,234"] in lines
    assert ["finetune", "cola", "3.4", "run", "accuracy", "0.5"] in lines


def test_a_control_that_computed_otherwise_is_named_below_the_scores(capsys):
    said = "cola was fine-tuned in bfloat16, from random weights in float32"
    task = {**make_summary()["tasks"][0], "random_weights_other_compute": said}
    print_result(make_summary(tasks=[task]), frozenset(), "index.html")
    assert said in capsys.readouterr().out.splitlines()


def test_models_that_were_held_back_say_why(capsys):
    export = {
        "task": "cola",
        "metric": "matthews_correlation",
        "score": 0.1,
        "threshold": 0.3,
        "differences": {},
    }
    rows = printed_rows(capsys, make_summary(exports=[export]))
    assert " ".join(rows["Not"]).endswith("matthews correlation 10.0, threshold 30.0")


def test_an_evaluation_is_shown_with_its_interval_and_all_other_metrics(capsys):
    print_scores({"cola (model)": {"accuracy": 0.75, "low": 0.7, "high": 0.8, "num_dev": 1043}})
    out = capsys.readouterr().out
    assert "75.0" in out
    assert "70.0 to 80.0" in out
    assert "num_dev 1,043" in out
    assert "low" not in out


def test_the_scores_of_each_class_are_points_in_the_order_of_the_labels(capsys):
    counts = {"num_examples": 1200, "num_predicted": 900, "num_right": 800}
    rows = [
        {"label": "[b]", "precision": 8 / 9, "recall": 2 / 3, "f1": 0.76190, **counts},
        {"label": "sea", "precision": 0.0, "recall": 1.0, "f1": 0.0, **counts},
    ]
    print_classes({"topic (tuned)": rows, "sts-b": []})
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if "topic" in line]
    assert lines[0] == ["topic", "(tuned)", "[b]", "88.9", "66.7", "76.2", "1,200", "900"]
    assert lines[1][2:5] == ["sea", "0.0", "100.0"]
