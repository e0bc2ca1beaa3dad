"""`albert pretrain` on a tiny corpus: phases, budgets, trouble, other beginnings."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest

from albert_core.checkpoints import convert
from albert_core.checkpoints.trained_length import find_trained_length
from albert_core.config import AlbertConfig
from albert_core.errors import InputError, StepFailedError
from albert_core.model import AlbertForPreTraining
from albert_core.model.weights import read_weights, weights_by_name
from albert_core.pretraining.initialization import initialize
from albert_core.pretraining.phases import PhaseConfig
from albert_core.records.config import MaskingConfig
from albert_core.tokenization import load_tokenizer
from albert_core.training import compute_choice
from albert_core.training.compute import ComputeSettings
from albert_core.training.safeguards import SafeguardConfig
from albert_core.training.session import TrainingSession
from components.pretrain.step import recorded_settings
from tests.helpers.tiny_pretraining import (
    history_of,
    log_of,
    losses_of,
    make_material,
    tiny_config,
    train,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(material, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("trained") / "model"
    train(material, output, num_train_steps=200, evaluation_interval_steps=50, ema_decay=0.9)
    return output


def weights_of(output: Path):
    return read_weights(output / "model.safetensors")


def test_masked_lm_is_measured_apart_in_every_evaluation_and_the_ranks_in_the_last(trained):
    history = history_of(trained)
    metrics = json.loads((trained / "manifest.json").read_text())["metrics"]
    for row in (*history, metrics):
        kinds = [f"masked_lm_{kind}" for kind in ("mask_token", "random", "unchanged")]
        parts = (row[f"{kind}_fraction"] * row[f"{kind}_accuracy"] for kind in kinds)
        assert sum(parts) == pytest.approx(row["masked_lm_accuracy"], abs=2e-4)
        assert row["masking"].startswith("15 % of the tokens; n-grams of up to 3 whole words")
        # As they are drawn: 80, 10 and 10 %.
        assert [row[f"{kind}_fraction"] for kind in kinds] == pytest.approx(
            [0.8, 0.1, 0.1], abs=0.05
        )
    ranks = ("pooled_output_effective_rank", "mean_output_effective_rank")
    assert [name in row for row in history for name in ranks] == [False] * 6 + [True] * 2
    assert all(1 <= metrics[name] <= metrics["max_effective_rank"] for name in ranks)
    # The file of the original's name keeps its lines.
    lines = (trained / "eval_results.txt").read_text().splitlines()
    names = [line.split(" = ")[0] for line in lines]
    assert names == [
        *("global_step", "loss", "masked_lm_accuracy", "masked_lm_loss"),
        *("sentence_order_accuracy", "sentence_order_loss"),
    ]


def test_the_log_has_what_a_user_watches(trained):
    rows = log_of(trained)
    assert [row["global_step"] for row in rows] == list(range(1, 201))
    assert rows[-1].keys() >= {
        *("loss", "masked_lm_accuracy", "sentence_order_accuracy", "learning_rate"),
        *("tokens_per_second", "model_flops_utilization", "input_wait_fraction"),
    }
    assert max(row["learning_rate"] for row in rows) == pytest.approx(0.003, rel=0.05)
    assert rows[-1]["learning_rate"] < 1e-4
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    assert list((trained / "tensorboard").glob("events.*"))


@pytest.mark.usefixtures("eager")
def test_micro_batches_change_nothing(material, tmp_path):
    settings = {
        "num_train_steps": 6,
        "num_warmup_steps": 2,
        "evaluation_interval_steps": 6,
        "sentence_order_weight": 0.5,
        "position_offset_probability": 0.5,
        "num_trained_positions": 40,
    }
    metrics = train(material, tmp_path / "whole", **settings).metrics
    assert metrics["trained_sequence_length"] == 40
    train(material, tmp_path / "parts", device_batch_size=4, **settings)
    first = log_of(tmp_path / "whole")[0]
    expected = first["masked_lm_loss"] + 0.5 * first["sentence_order_loss"]
    assert first["loss"] == pytest.approx(expected, abs=1e-4)
    whole, parts = losses_of(tmp_path / "whole"), losses_of(tmp_path / "parts")
    assert parts == pytest.approx(whole, rel=1e-4)


def test_a_longer_phase_goes_on_where_the_shorter_ended(tmp_path):
    """The optimizer's moments and the weights are kept; only sequences, batch and rate change."""
    phases = (
        PhaseConfig(sequence_length=24, num_train_steps=200),
        PhaseConfig(sequence_length=48, num_train_steps=100, batch_size=8, learning_rate=0.001),
    )
    # Of few held-out records, losses at two lengths could not be compared.
    material = make_material(tmp_path / "material", held_out_fraction=0.2)
    output = tmp_path / "model"
    records = [material.short, material.long]
    train(material, output, records=records, phases=phases, evaluation_interval_steps=50)
    history, rows = history_of(output), log_of(output)
    assert [row["phase"] for row in history] == [0, 0, 0, 0, 1, 1]
    assert find_trained_length(output) == 48
    assert history[-1]["loss"] < history[3]["loss"]
    # Without its moments Adam's first steps would be as long as the rate.
    first_of_long, before = rows[200]["loss"], rows[199]["loss"]
    assert first_of_long < before + 1.0
    assert first_of_long < rows[0]["loss"] - 0.5


GROWTH = (
    PhaseConfig(sequence_length=24, num_train_steps=3, num_hidden_layers=1),
    PhaseConfig(sequence_length=24, num_train_steps=3, num_hidden_layers=2),
    PhaseConfig(sequence_length=24, num_train_steps=3),
)
FOUR_LAYERS = {
    "phases": GROWTH,
    "num_warmup_steps": 1,
    "evaluation_interval_steps": 3,
    "overrides": {"num_hidden_layers": 4},
}


@pytest.mark.usefixtures("eager")
def test_a_model_that_grows_and_is_interrupted_ends_with_the_same_weights(material, tmp_path):
    """Each time after the first step of a phase with more layers."""

    def interrupt(step: int, num_steps: int, text: str) -> None:
        if step in (3, 6) and text.startswith("masked_lm_accuracy"):
            signal.raise_signal(signal.SIGTERM)

    train(material, tmp_path / "whole", **FOUR_LAYERS)
    for step in (4, 7):
        with pytest.raises(StepFailedError, match=f"stopped by SIGTERM after {step} steps"):
            train(material, tmp_path / "parts", progress=interrupt, **FOUR_LAYERS)
    train(material, tmp_path / "parts", **FOUR_LAYERS)
    whole, parts = weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts")
    assert all((whole[name] == parts[name]).all() for name in whole)
    assert losses_of(tmp_path / "whole") == losses_of(tmp_path / "parts")


@pytest.mark.usefixtures("eager")
def test_a_phase_trains_the_layers_that_it_has_and_a_model_stopped_in_it_is_of_as_many(
    material, tmp_path, capsys
):
    settings = {**FOUR_LAYERS, "stop_after_steps": 2}
    said = []
    train(material, tmp_path / "stopped", progress=lambda *at: said.append(at[2]), **settings)
    assert "stopped before the phase with all 4 layers: the published model has 1" in said
    phase = PhaseConfig(sequence_length=24, num_train_steps=3)
    settings |= {"phases": (phase,), "overrides": {"num_hidden_layers": 1}}
    train(material, tmp_path / "shallow", **settings)
    assert losses_of(tmp_path / "stopped") == losses_of(tmp_path / "shallow")
    configs = [(tmp_path / n / "albert_config.json").read_text() for n in ("stopped", "shallow")]
    assert configs[0] == configs[1]
    # A model of another depth goes on from it, with the same weights.
    model = AlbertForPreTraining(
        AlbertConfig(**{**json.loads(configs[0]), "num_hidden_layers": 4, "layers_to_keep": ()})
    )
    start, tokenizer = str(tmp_path / "stopped"), load_tokenizer(material.vocab)
    capsys.readouterr()
    initialize(model, start, tokenizer, may_differ_in_depth=True)
    assert "trained with 1 layers; this model applies the same weights as 4" in (
        capsys.readouterr().err
    )
    expected = weights_of(tmp_path / "stopped")
    for name, variable in weights_by_name(model).items():
        np.testing.assert_array_equal(np.asarray(variable), expected[name])
    with pytest.raises(InputError, match="has num_hidden_layers 1, expected 4"):
        initialize(model, start, tokenizer, may_differ_in_depth=False)


@pytest.mark.usefixtures("eager")
def test_a_budget_ends_training_with_an_evaluation(material, tmp_path):
    """That of steps is what one of tokens becomes; that of minutes is tested with its callback."""
    num_tokens = 24 * 16 * 5
    metrics = train(material, tmp_path / "model", stop_after_tokens=num_tokens).metrics
    assert (metrics["global_step"], metrics["stopped_by"]) == (5, "stop_after_steps")
    assert metrics["num_tokens"] == num_tokens


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    ("budget", "decay_ratio", "interval", "rates"),
    [
        ({"num_train_steps": 10}, 0.5, 5, [0.5, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0]),
        # By the clock below it is as many steps, of which three measure the speed.
        ({"train_minutes": 1 / 60}, 0.4, 7, [0, 0, 0, 0.5, 1, 1, 0.75, 0.5, 0.25, 0]),
    ],
)
def test_a_run_interrupted_in_the_decay_of_its_rate_ends_with_the_same_weights(
    material, tmp_path, monkeypatch, budget, decay_ratio, interval, rates
):
    clock = property(lambda session: 0.1 * session.state.step)
    monkeypatch.setattr(TrainingSession, "seconds", clock)
    settings = {
        **budget,
        "num_warmup_steps": 2,
        "evaluation_interval_steps": interval,
        "schedule": "warmup_stable_decay",
        "decay_ratio": decay_ratio,
        "optimizer": "muon",
        "bias_correction": True,
        "ema_decay": 0.9,
        "residual_init_scale": 0.5,
        "position_offset_probability": 0.5,
    }

    def interrupt_once(step: int, num_steps: int, text: str) -> None:
        if step == interval and text.startswith("masked_lm_accuracy"):
            signal.raise_signal(signal.SIGTERM)

    metrics = train(material, tmp_path / "whole", **settings).metrics
    assert [row["global_step"] for row in history_of(tmp_path / "whole")] == [interval, 10]
    assert ("settled_phases" in metrics) == ("train_minutes" in budget)
    with pytest.raises(StepFailedError, match=f"stopped by SIGTERM after {interval + 1} steps"):
        train(material, tmp_path / "parts", progress=interrupt_once, **settings)
    train(material, tmp_path / "parts", **settings)
    whole, parts = weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts")
    assert all((whole[name] == parts[name]).all() for name in whole)
    logged = [row["learning_rate"] for row in log_of(tmp_path / "parts")]
    assert logged == pytest.approx([0.003 * rate for rate in rates])


def test_revised_steps_are_trained_to_the_end_and_the_same_after_an_interruption(
    material, tmp_path, monkeypatch
):
    """Three steps of 0.2 seconds, then 0.05: 20 fit by the speed at first, 51 by the later one."""
    clock = property(lambda session: 0.15 * min(session.state.step, 3) + 0.05 * session.state.step)
    monkeypatch.setattr(TrainingSession, "seconds", clock)
    settings = {"train_minutes": 3 / 60, "warmup_ratio": 0.05, "evaluation_interval_steps": 16}

    def interrupt_once(step: int, num_steps: int, text: str) -> None:
        if step == 16 and text.startswith("masked_lm_accuracy"):
            signal.raise_signal(signal.SIGTERM)

    metrics = train(material, tmp_path / "whole", **settings).metrics
    (phase,) = metrics["settled_phases"]
    assert phase["num_train_steps_before"] == pytest.approx(20, abs=2)
    assert phase["revised_at_step"] < 16
    last = phase["num_train_steps"]
    assert last == pytest.approx(51, abs=1)
    assert [row["global_step"] for row in history_of(tmp_path / "whole")] == [16, 32, 48, last]
    rates = [row["learning_rate"] for row in log_of(tmp_path / "whole")]
    assert rates[-1] == 0.0
    assert all(rate > 0 for rate in rates[phase["start_warmup_step"] : -1])
    with pytest.raises(StepFailedError, match="stopped by SIGTERM"):
        train(material, tmp_path / "parts", progress=interrupt_once, **settings)
    train(material, tmp_path / "parts", **settings)
    whole, parts = weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts")
    assert all((whole[name] == parts[name]).all() for name in whole)


@pytest.mark.usefixtures("eager")
def test_evaluation_only_scores_the_model_as_it_is(material, trained, tmp_path, monkeypatch):
    fast = ComputeSettings(precision="bfloat16", jit_compile=False)  # as a CPU with AMX has it
    monkeypatch.setattr(compute_choice, "possible_settings", lambda *_, **__: (fast,))
    output = tmp_path / "evaluated"
    figures = train(
        material,
        output,
        init_checkpoint=str(trained),
        num_train_steps=0,
        num_warmup_steps=0,
        precision="auto",
    ).metrics
    assert figures["precision"] == "float32"
    best = max(history_of(trained), key=lambda row: row["masked_lm_accuracy"])
    for name in ("masked_lm_accuracy", "loss"):
        assert figures[name] == pytest.approx(best[name], abs=1e-3)
    assert figures["trained_sequence_length"] == 24  # of the model it evaluates
    before, after = weights_of(trained), weights_of(output)
    assert all((before[name] == after[name]).all() for name in before)


@pytest.mark.parametrize("to", ["tf1", "huggingface", "keras"])
def test_training_begins_from_any_kind_of_checkpoint(material, trained, tmp_path, to):
    convert(str(trained), str(tmp_path / "converted"), to=to)
    model = AlbertForPreTraining(AlbertConfig.from_json_file(trained / "albert_config.json"))
    tokenizer = load_tokenizer(material.vocab)
    initialize(model, str(tmp_path / "converted"), tokenizer, may_differ_in_depth=False)
    expected, actual = weights_of(trained), weights_by_name(model)
    assert expected.keys() == actual.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(np.asarray(actual[name]), values, err_msg=name)


def test_a_checkpoint_of_another_architecture_is_refused(material, trained, tmp_path):
    with pytest.raises(InputError, match="has hidden_size 32, expected 64"):
        train(
            material,
            tmp_path / "model",
            overrides={"hidden_size": 64},
            init_checkpoint=str(trained),
        )


BROKEN = {
    "learning_rate": 1e30,
    "num_warmup_steps": 0,
    "num_train_steps": 8,
    "evaluation_interval_steps": 8,
}


@pytest.mark.usefixtures("eager")
def test_a_loss_that_is_not_finite_stops_with_the_reason(material, tmp_path):
    with pytest.raises(StepFailedError, match=r"the loss is nan at step \d.* lower the learning"):
        train(material, tmp_path / "model", **BROKEN)
    assert not (tmp_path / "model").exists()


@pytest.mark.usefixtures("eager")
def test_roll_backs_lower_the_rate_and_are_counted(material, tmp_path):
    guard = SafeguardConfig(action="roll_back", roll_back_factor=1e-33, max_roll_backs=1)
    train(material, tmp_path / "model", safeguards=guard, **BROKEN)
    assert all(row["learning_rate"] < 1e-2 for row in log_of(tmp_path / "model"))


@pytest.mark.usefixtures("eager")
def test_sentence_order_at_chance_stops_the_run(material, tmp_path):
    guard = SafeguardConfig(stuck_after_steps=5)
    settings = {"num_train_steps": 5, "evaluation_interval_steps": 5, "learning_rate": 1e-9}
    with pytest.raises(StepFailedError, match="sentence-order accuracy was never above"):
        train(material, tmp_path / "model", safeguards=guard, **settings)


def test_another_architecture_is_other_work(material, trained):
    with pytest.raises(InputError, match="belongs to another configuration"):
        train(
            material,
            trained,
            overrides={"hidden_size": 64},
            num_train_steps=200,
            evaluation_interval_steps=50,
        )


def test_work_of_versions_without_a_schedule_keeps_its_fingerprint():
    """Settings of schedules that came later are recorded where they differ from their defaults."""
    before = recorded_settings(tiny_config())
    assert "poly_power" in before
    newer = {"schedule", "decay_ratio", "sentence_order_weight", "train_minutes", "schedule_spans"}
    newer |= {"objective", "replaced_token_detection"}
    assert not newer & before.keys()
    assert "random_replace_probability" not in before["masking"]
    masking = MaskingConfig(random_replace_probability=0.2)
    after = recorded_settings(
        tiny_config(schedule="warmup_stable_decay", decay_ratio=0.5, masking=masking)
    )
    assert after["masking"]["random_replace_probability"] == 0.2
    assert (after["schedule"], after["decay_ratio"]) == ("warmup_stable_decay", 0.5)


def test_rematerialisation_with_dropout_is_refused(material, tmp_path):
    with pytest.raises(InputError, match="rematerialize: got true with dropout"):
        train(
            material,
            tmp_path / "model",
            overrides={"hidden_dropout_prob": 0.1},
            rematerialize=True,
        )


def test_metrics_of_a_finished_run(trained):
    manifest = json.loads((trained / "manifest.json").read_text())
    metrics = manifest["metrics"]
    assert metrics["strategy"].startswith("single on 1 CPU device (there is no GPU")
    assert metrics["precision"] == "float32"
    assert metrics["trained_sequence_length"] == 24
    assert 0 <= metrics["input_wait_fraction"] <= 1
    assert 0 < metrics["model_flops_utilization"] < 1
