"""Estimates for slices of TPUs: names, bytes exchanged, prices, and a step really compiled."""

import concurrent.futures
import contextlib
import dataclasses

import pytest

from albert_core.errors import InputError
from albert_core.estimation.accelerators import find_slice
from albert_core.estimation.collectives import exchanged_bytes
from albert_core.estimation.compiled_step import CompiledStep
from albert_core.estimation.estimate import estimate, fill_minutes
from albert_core.estimation.pretraining_step import PretrainingStep
from albert_core.estimation.prices import LIST_PRICES, Prices
from albert_core.presets import preset
from albert_core.pretraining.config import PretrainingConfig
from albert_core.pretraining.phases import PhaseConfig
from pipeline.cli.main import main
from pipeline.estimation import refuse_above

# A loop of 11 rounds inside one of 4, as the compiler prints them, less what is not looked at.
PROGRAM = """\
HloModule step

%condition.1 (p: (s32[])) -> pred[] {
  %limit.1 = s32[]{:T(128)} constant(11)
  ROOT %lt.1 = pred[]{:T(512)} compare(%counter.1, %limit.1), direction=LT
}

%body.1 (p: (s32[])) -> (s32[]) {
  %all-reduce.1 = bf16[30,10]{1,0:T(8,128)(2,1)S(1)} all-reduce(%x), replica_groups=mesh['axis_0'=4]
}

%condition.2 (p: (s32[])) -> pred[] {
  %limit.2 = s32[]{:T(128)} constant(4)
  ROOT %lt.2 = pred[]{:T(512)} compare(%counter.2, %limit.2), direction=LT
}

%body.2 (p: (s32[])) -> (s32[]) {
  %while.1 = (s32[]) while(%tuple.1), condition=%condition.1, body=%body.1
  %all-gather.1 = f32[8]{0} all-gather(%y), replica_groups={{0,1}}
}

%wrapped (p: f32[]) -> f32[] {
  %all-reduce.2 = (f32[]{:T(128)}, f32[100]{0}) all-reduce(%a, %b), to_apply=%add
}

ENTRY %main (p: f32[]) -> f32[] {
  %while.2 = (s32[]) while(%tuple.2), condition=%condition.2, body=%body.2
  %fusion = f32[] fusion(%z), kind=kCustom, calls=%wrapped
}
"""


@pytest.mark.parametrize(
    ("name", "num_chips", "num_cores", "topology"),
    [
        ("v5e-4", 4, 4, "v5e:2x2"),
        ("v5e-256", 256, 256, "v5e:16x16"),
        ("v5p-8", 4, 8, "v5p:2x2x1"),
        ("v6e-16", 16, 16, "v6e:4x4"),
    ],
)
def test_a_slice_knows_its_chips_and_cores(name, num_chips, num_cores, topology):
    found = find_slice(name)
    assert (found.num_chips, found.num_cores, found.topology) == (num_chips, num_cores, topology)


@pytest.mark.parametrize("name", ["v5e-3", "v5p-9", "v9-8", "v5e", "v5e-²", ""])
def test_a_slice_that_does_not_exist(name):
    with pytest.raises(InputError, match="expected one of v5e-1, v5e-4"):
        find_slice(name)


def test_what_loops_exchange_counts_as_often_as_they_run():
    in_both_loops = 4 * 11 * 2 * (30 * 10 * 2)
    in_the_outer = 4 * (8 * 4)
    once = 2 * (4 + 100 * 4)
    assert exchanged_bytes(PROGRAM) == in_both_loops + in_the_outer + once


def test_a_loop_without_a_limit_is_not_guessed():
    with pytest.raises(ValueError, match="expected one limit"):
        exchanged_bytes(PROGRAM.replace("constant(11)", "parameter(0)"))


def test_prices_need_a_date():
    with pytest.raises(InputError, match="expected one as 2026-01-31"):
        Prices(date="last year", source="somebody")


def test_prices_of_unknown_chips_are_refused():
    assert Prices(date="2026-01-31", source="us", per_chip_hour={"h200": 10.0, "v5e": 1.0})
    message = r"per_chip_hour: got 'H200', expected some of v5e, .*; did you mean h200\?"
    with pytest.raises(InputError, match=message):
        Prices(date="2026-01-31", source="us", per_chip_hour={"H200": 10.0})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--accelerator", "v5e-5"], "--accelerator: got 'v5e-5'"),
        (["--accelerator", "v5e-4", "--utilisation", "1.5"], "--utilisation: got 1.5"),
        (["--accelerator", "v5e-4", "--config", "base_v9"], "nor a model preset (tiny, small"),
        (
            ["--accelerator", "v5e-32", "--pretraining.batch_size", "100"],
            "got 100, expected a multiple of 32 (32 devices)",
        ),
        (
            [
                *("--accelerator", "v5e-4", "--pretraining.strategy", "model_parallel"),
                *("--pretraining.model_parallel_size", "3"),
            ],
            "expected a divisor of the 4 chips of v5e-4",
        ),
    ],
)
def test_what_cannot_be_estimated(capsys, options, said):
    assert main(["estimate", *options]) == 2
    assert said in capsys.readouterr().err


class CountingCompiler:
    """Stands for the processes that compile: counts 10 FLOPs a layer, a loop's body once."""

    def submit(self, function, request):
        flops = 100.0 + 10.0 * min(request.model.num_hidden_layers, 2)
        step = CompiledStep(
            memory_bytes=1.0, is_within_memory=True, flops=flops, exchanged_bytes=0, seconds=0.0
        )
        future = concurrent.futures.Future()
        future.set_result(step)
        return future


def test_each_phase_is_estimated_with_the_layers_that_it_applies(monkeypatch):
    monkeypatch.setattr(
        "albert_core.estimation.estimate.in_compiler_process",
        lambda num_processes: contextlib.nullcontext(CountingCompiler()),
    )
    phases = tuple(
        PhaseConfig(sequence_length=64, num_hidden_layers=number) for number in (1, 3, None)
    )
    estimates = estimate(
        model=preset("base_v2", vocab_size=4000),
        config=PretrainingConfig(phases=phases),
        sequence_length=64,
        accelerator=find_slice("v5e-4"),
        utilisation=0.5,
        prices=LIST_PRICES,
    )
    assert [phase.flops_per_step for phase in estimates] == [110.0, 130.0, 220.0]
    shallow, _, deep = (phase.formula_flops_per_step for phase in estimates)
    assert 6 < deep / shallow < 12  # less than the layers, for the head over the vocabulary


def test_a_batch_of_pretraining_is_described_as_the_readers_make_it():
    config = PretrainingConfig(batch_size=64, device_batch_size=8)
    (phase,) = config.resolved_phases(128)
    step = PretrainingStep(
        model=preset("base_v2", vocab_size=4000),
        config=config,
        phase=phase,
        accelerator=find_slice("v5e-4"),
    )
    assert (step.num_micro_batches, step.sequences_at_a_time) == (2, 8)
    inputs, targets = step._describe_batch(lambda *sizes, dtype="int32": (sizes, dtype))
    whole, predicted = ((64, 128), "int32"), ((64, 20), "int32")
    assert inputs == {
        "input_ids": whole,
        "input_mask": whole,
        "segment_ids": whole,
        "masked_lm_positions": predicted,
    }
    assert targets == {
        "masked_lm_ids": predicted,
        "masked_lm_weights": ((64, 20), "float32"),
        "sentence_order_labels": ((64,), "int32"),
    }


@pytest.fixture(scope="module")
def compiled(compiler):
    config = PretrainingConfig(
        batch_size=64,
        device_batch_size=8,
        num_train_steps=1000,
        num_warmup_steps=10,
        evaluation_interval_steps=100,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "albert_core.estimation.estimate.in_compiler_process",
            lambda num_processes: contextlib.nullcontext(compiler),
        )
        (found,) = estimate(
            model=preset("tiny", vocab_size=4000, num_hidden_layers=2),
            config=config,
            sequence_length=64,
            accelerator=find_slice("v5e-4"),
            utilisation=0.5,
            prices=LIST_PRICES,
        )
    return found


@pytest.mark.slow
def test_the_compiler_counts_what_the_formula_does(compiled):
    assert compiled.num_micro_batches == 2
    assert compiled.formula_ratio < compiled.needed_ratio
    # Of so small a model the loops over elements are a larger share than of a large one.
    assert 1.0 < compiled.needed_ratio < 1.25


@pytest.mark.slow
def test_gradients_are_exchanged_once_a_micro_batch(compiled):
    num_weights = 4000 * 64 + 512 * 64 + 128 * (4 * 128 + 2 * 256)  # the large ones
    exchanged = compiled.compiled.exchanged_bytes / compiled.num_micro_batches
    assert 2 * num_weights * 2 < exchanged < 2 * num_weights * 4 * 2


@pytest.mark.slow
def test_time_and_price_follow_from_the_utilisation(compiled):
    seconds = compiled.flops_per_step / (0.5 * 197e12)
    assert compiled.step_seconds == pytest.approx(seconds)
    assert compiled.tokens_per_second == pytest.approx(64 * 64 / seconds)
    assert compiled.cost == pytest.approx(1000 * seconds / 3600 * 4 * 1.20)


@pytest.mark.slow
def test_minutes_have_as_many_steps_as_fit(compiled):
    config = dataclasses.replace(compiled.request.config, train_minutes=3.0)
    request = dataclasses.replace(compiled.request, config=config)
    first, second = fill_minutes(2 * [dataclasses.replace(compiled, request=request)])
    assert first.hours == second.hours == pytest.approx(1.5 / 60, rel=1e-3)
    assert fill_minutes([compiled]) == [compiled]


@pytest.mark.slow
def test_a_pretraining_above_the_most_it_may_cost_is_refused(compiled):
    assert refuse_above(compiled.cost, [compiled], LIST_PRICES) == compiled.cost
    with pytest.raises(InputError, match=r"--max_cost: got .* on v5e-4 is estimated at"):
        refuse_above(compiled.cost, [compiled, compiled], LIST_PRICES)
    unknown = dataclasses.replace(compiled, price_per_hour=None)
    with pytest.raises(
        InputError, match=r"--max_cost: no price of v5e in .* per_chip_hour: \{v5e: PRICE\}"
    ):
        refuse_above(compiled.cost, [unknown], LIST_PRICES)
