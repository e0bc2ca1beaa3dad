"""Phases, rates, batches and budgets of a pretraining, settled before it starts."""

import math

import pytest

from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from albert_core.presets import preset
from albert_core.pretraining.config import PretrainingConfig
from albert_core.pretraining.objectives import ReplacedTokenConfig, published_row
from albert_core.pretraining.phases import PhaseConfig
from albert_core.training.minutes import UNSETTLED
from albert_core.training.safeguards import SafeguardConfig

TWO_PHASES = (
    PhaseConfig(sequence_length=128, num_train_steps=900),
    PhaseConfig(sequence_length=512, num_train_steps=100, batch_size=16, learning_rate=0.001),
)


DETECTION = {"objective": "replaced_token_detection"}


def config(**settings):
    defaults = {
        "num_train_steps": 1000,
        "num_warmup_steps": 10,
        "batch_size": 64,
        "evaluation_interval_steps": 100,
    }
    return PretrainingConfig(**{**defaults, **settings})


def test_a_phase_takes_from_the_run_what_it_does_not_set():
    short, long = config(phases=TWO_PHASES, learning_rate=0.004).resolved_phases(24)
    assert (short.batch_size, short.learning_rate, short.num_warmup_steps) == (64, 0.004, 10)
    assert (long.batch_size, long.learning_rate, long.num_train_steps) == (16, 0.001, 100)
    assert (short.num_tokens, long.num_tokens) == (900 * 64 * 128, 100 * 16 * 512)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ema_decay": 1.0}, r"\.ema_decay: got 1\.0, expected between 0 and 1"),
        ({"residual_init_scale": 0.0}, r"\.residual_init_scale: got 0\.0, expected a number above"),
        (
            {"residual_init_scale": 0.15, "init_checkpoint": "model"},
            r"got 0\.15 with init_checkpoint, whose weights are taken as they are; expected 1",
        ),
    ],
)
def test_averages_and_initial_scales_out_of_range_or_without_effect(settings, message):
    with pytest.raises(InputError, match=message):
        config(**settings)


def test_a_phase_has_the_layers_that_it_names_or_those_of_the_model():
    phases = (
        PhaseConfig(sequence_length=128, num_train_steps=100, num_hidden_layers=3),
        PhaseConfig(sequence_length=128, num_train_steps=100),
    )
    model, growing = AlbertConfig(vocab_size=20, num_hidden_layers=12), config(phases=phases)
    growing.check_depths(model)
    depths = [p.architecture(model).num_hidden_layers for p in growing.resolved_phases(24)]
    assert depths == [3, 12]


@pytest.mark.parametrize(
    ("layers", "groups", "message"),
    [
        ((0, None), 1, r"pretraining\.phases: num_hidden_layers of the model: got the number 0"),
        ((4, 6), 1, r"got num_hidden_layers 6 in the last one, expected the model's 12"),
        (
            (2, None),
            4,
            r"phases: num_hidden_layers: got 2, which use 2 of the 4 groups of layers, expected a "
            r"number that uses the 4 that 12 layers use",
        ),
    ],
)
def test_layers_of_phases_that_the_model_cannot_have(layers, groups, message):
    phases = tuple(
        PhaseConfig(sequence_length=128, num_train_steps=100, num_hidden_layers=number)
        for number in layers
    )
    model = AlbertConfig(vocab_size=20, num_hidden_layers=12, num_hidden_groups=groups)
    with pytest.raises(InputError, match=message):
        config(phases=phases).check_depths(model)


def test_rates_follow_the_square_root_of_the_batch():
    (phase,) = config(
        batch_size=256, reference_batch_size=4096, learning_rate=0.00176
    ).resolved_phases(24)
    assert phase.learning_rate == pytest.approx(0.00176 / 4)


def test_records_of_every_length_are_asked_for_once():
    again = (*TWO_PHASES, PhaseConfig(sequence_length=128, num_train_steps=100))
    assert config(phases=again).sequence_lengths(default=24) == (128, 512)
    assert config().sequence_lengths(default=24) == (24,)


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        ({"stop_after_steps": 300}, 300),
        ({"stop_after_tokens": 64 * 128 * 10}, 10),
        ({"stop_after_tokens": 64 * 128 * 10 + 1}, 11),
        ({"stop_after_tokens": 64 * 128 * 900 + 16 * 512 * 5}, 905),
        ({"stop_after_tokens": 64 * 128 * 10, "stop_after_steps": 7}, 7),
        ({"stop_after_tokens": 10**12}, None),
    ],
)
def test_budgets_become_steps(budget, expected):
    settled = config(phases=TWO_PHASES, **budget)
    assert settled.plan(settled.resolved_phases(24)).stop_after_steps == expected


@pytest.mark.parametrize(
    ("settings", "steps", "warmup_steps"),
    [
        ({"num_train_tokens": 64 * 24 * 500}, (500,), (10,)),
        ({"num_train_tokens": 64 * 24 * 500 - 1, "warmup_ratio": 0.1}, (499,), (50,)),
        # Half of all: so is each phase.
        (
            {
                "phases": TWO_PHASES,
                "num_train_tokens": (64 * 128 * 900 + 16 * 512 * 100) // 2,
                "warmup_ratio": 0.1,
            },
            (450, 50),
            (45, 5),
        ),
        (
            {"phases": TWO_PHASES, "schedule_spans": "run", "warmup_ratio": 0.1},
            (900, 100),
            (100, 100),
        ),
    ],
)
def test_budgets_and_ratios_become_steps_of_phases(settings, steps, warmup_steps):
    settled = config(**settings)
    phases = settled.resolved_phases(24)
    assert tuple(phase.num_train_steps for phase in phases) == steps
    assert tuple(phase.num_warmup_steps for phase in phases) == warmup_steps
    assert settled.plan(phases).phase_steps == steps


def test_phases_share_minutes_by_their_tokens():
    settled = config(phases=TWO_PHASES, train_minutes=10, warmup_ratio=0.1)
    plan = settled.plan(settled.resolved_phases(24))
    share = 900 * 64 * 128 / (900 * 64 * 128 + 100 * 16 * 512)
    assert [phase.end_s for phase in plan.minutes] == pytest.approx([600 * share, 600])
    assert [phase.peak for phase in plan.minutes] == pytest.approx([0.00176, 0.001])
    assert plan.num_train_steps == 2 * UNSETTLED
    spanning = config(
        phases=TWO_PHASES,
        train_minutes=10,
        schedule_spans="run",
        schedule="warmup_stable_decay",
        decay_ratio=0.1,
    )
    plan = spanning.plan(spanning.resolved_phases(24))
    assert [phase.stable_ratio for phase in plan.minutes] == [1.0, 0.9]
    assert [phase.schedule_ratio for phase in plan.minutes] == pytest.approx([10 / 9, 10])


def test_tokens_too_few_for_the_warm_up_are_refused_once_the_length_is_known():
    settled = config(num_train_tokens=64 * 24 * 10)
    with pytest.raises(InputError, match="num_warmup_steps: got 10, expected from 0 to below"):
        settled.resolved_phases(24)


@pytest.mark.parametrize(
    ("device_batch_size", "num_devices", "expected"), [(None, 8, 1), (8, 1, 8), (4, 2, 8)]
)
def test_a_batch_in_parts(device_batch_size, num_devices, expected):
    (phase,) = config(device_batch_size=device_batch_size).resolved_phases(24)
    assert phase.num_micro_batches(num_devices) == expected


@pytest.mark.parametrize(
    ("device_batch_size", "num_devices", "named"),
    [
        (None, 3, r"a multiple of 3 \(3 devices\)"),
        (3, 2, r"a multiple of 6 \(2 devices x 3 sequences\)"),
    ],
)
def test_a_batch_that_devices_cannot_divide(device_batch_size, num_devices, named):
    (phase,) = config(device_batch_size=device_batch_size).resolved_phases(24)
    with pytest.raises(InputError, match=f"got 64, expected {named}"):
        phase.num_micro_batches(num_devices)


@pytest.mark.parametrize(
    ("settings", "offset", "trained"),
    [
        ({}, 0, 128),
        ({"position_offset_probability": 0.5}, 448, 512),
        ({"position_offset_probability": 1, "num_trained_positions": 256}, 192, 256),
    ],
)
def test_offsets_of_positions_reach_to_their_limit(settings, offset, trained):
    settled = config(**settings)
    assert settled.max_position_offset(64, 512) == offset
    assert settled.trained_length([64, 128], 512) == trained
    settled.check_positions([64, 128], 512)


@pytest.mark.parametrize(
    ("settings", "lengths", "named"),
    [
        ({"num_trained_positions": 600}, [64], "got 600, expected at most .*_embeddings=512"),
        ({}, [512], "got 1, which does nothing: all sequences are as long as the 512 positions"),
        ({"num_trained_positions": 64}, [64, 128], "as long as the 64 positions"),
    ],
)
def test_offsets_that_are_impossible_or_do_nothing(settings, lengths, named):
    with pytest.raises(InputError, match=named):
        config(position_offset_probability=1, **settings).check_positions(lengths, 512)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"num_trained_positions": 64}, "does nothing without position_offset_probability"),
        ({"num_train_steps": 0}, "expected with it init_checkpoint"),
        ({"device_batch_size": 0}, "pretraining.device_batch_size: got 0"),
        ({"stop_after_tokens": 0}, "pretraining.stop_after_tokens: got 0"),
        ({"num_warmup_steps": 1000}, "num_warmup_steps: got 1000"),
        ({"num_train_steps": 950}, "expected a multiple of the 100 steps between evaluations"),
        ({"phases": (PhaseConfig(sequence_length=0),)}, "got sequence_length 0"),
        ({"sentence_order_weight": -0.5}, "pretraining.sentence_order_weight: got -0.5"),
        ({"sentence_order_weight": float("inf")}, "expected a finite number"),
        (
            {"sentence_order_weight": 0, "safeguards": SafeguardConfig(stuck_after_steps=9)},
            "stuck_after_steps: got 9, .* expected nothing with sentence_order_weight 0",
        ),
        ({"train_minutes": 0}, "train_minutes: got 0, expected a number above 0"),
        (
            {"train_minutes": 5, "num_train_tokens": 9},
            "num_train_tokens: got 9 with train_minutes 5",
        ),
        ({"train_minutes": 5, "num_train_steps": 0, "init_checkpoint": "x"}, "evaluates only"),
        ({"train_minutes": 5, "start_warmup_step": 2}, "start_warmup_step: got 2, expected 0"),
        ({"train_minutes": 5, "stop_after_tokens": 2}, "stop_after_tokens: got 2, expected noth"),
        (
            {"train_minutes": 5, "phases": TWO_PHASES, "schedule_spans": "run"},
            "decay_ratio: got 0 of all steps, expected above 0, and at most the 0.1 that are of",
        ),
        (
            {"train_minutes": 5, "schedule": "warmup_stable_decay", "warmup_ratio": 0.8},
            "warmup_ratio: got 0.8, expected below 0.8, what decay_ratio leaves",
        ),
        ({"warmup_ratio": 1.0}, "pretraining.warmup_ratio: got 1.0, expected from 0 to below 1"),
        (
            {
                "schedule_spans": "run",
                "phases": (*TWO_PHASES, PhaseConfig(sequence_length=24, num_warmup_steps=5)),
            },
            "phases: got num_warmup_steps 5 of a phase, expected none with schedule_spans run",
        ),
        ({"schedule_spans": "run"}, "schedule_spans: got run with one phase"),
        (
            {
                "train_minutes": 5,
                "phases": TWO_PHASES[::-1],
                "schedule_spans": "run",
                "schedule": "warmup_stable_decay",
                "warmup_ratio": 0.1,
            },
            "warmup_ratio: got 0.1 of all steps, expected below the 0.1 that are of the first",
        ),
        (
            {"ema_decay": 0.9, "num_train_steps": 0, "init_checkpoint": "x"},
            "ema_decay: got 0.9 with num_train_steps 0",
        ),
        ({"poly_power": -0.5}, "poly_power: got -0.5"),
        (
            {"replaced_token_detection": ReplacedTokenConfig(loss_weight=1.0)},
            "got settings, which the objective masked_lm does not have",
        ),
        (
            {**DETECTION, "num_train_steps": 0, "init_checkpoint": "model"},
            "got 0, which evaluates only, with the objective replaced_token_detection",
        ),
    ],
)
def test_settings_out_of_range(settings, named):
    with pytest.raises(InputError, match=named):
        config(**settings)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"generator_size": 0.0}, "generator_size: got 0.0, expected above 0, at most 1"),
        ({"generator_size": 1.5}, "generator_size: got 1.5, expected above 0, at most 1"),
        ({"loss_weight": 0.0}, "loss_weight: got 0.0, expected a number above 0"),
        ({"loss_weight": math.inf}, "loss_weight: got inf, expected a number above 0"),
    ],
)
def test_settings_of_replaced_token_detection_out_of_range(settings, named):
    with pytest.raises(InputError, match=named):
        ReplacedTokenConfig(**settings)


def test_the_generator_of_a_released_size():
    model = preset("base_v2", vocab_size=30_000)
    generator = ReplacedTokenConfig().generator(model)
    assert (generator.hidden_size, generator.num_attention_heads) == (192, 3)
    assert (generator.intermediate_size, generator.embedding_size) == (768, 128)


def test_work_of_replaced_token_detection():
    """Base at length 128 with 20 predictions, in multiplications; the factor is 2 of 3 passes."""
    model = preset("base_v2", vocab_size=30_000)
    h, g, e, s = 768, 192, 128, 128
    layers = 12 * (4 * h * h + 2 * h * 4 * h + 2 * s * h) + e * h
    small = 12 * (4 * g * g + 2 * g * 4 * g + 2 * s * g) + e * g
    vocabulary = 20 / 128 * (g * e + e * 30_000)
    head = h * h + h + h * h / s
    needed = 6 * (layers + head + small + vocabulary)
    assert config(**DETECTION).flops_per_token(model, 128, 20) == pytest.approx(needed)
    # Every position is read by the detection; the last layer of the generator skips most.
    skipped = config(**DETECTION).skipped_flops_per_token(model, 128, 20)
    assert skipped == pytest.approx(6 * (1 - 21 / 128) * (2 * g * g + 2 * g * 4 * g + 2 * s * g))


def test_the_last_weights_of_replaced_token_detection_are_published():
    """While the generator learns, the detection becomes harder: its best metrics are early ones."""
    accuracies = (0.97, 0.93, 0.94)
    rows = [
        {"global_step": step, "replaced_token_accuracy": accuracy, "masked_lm_accuracy": 0.5}
        for step, accuracy in enumerate(accuracies)
    ]
    assert published_row(rows) is rows[-1]
    assert config(**DETECTION).monitor == "global_step"
    others = [{"global_step": n, "masked_lm_accuracy": a} for n, a in enumerate((0.2, 0.3, 0.1))]
    assert published_row(others)["global_step"] == 1
