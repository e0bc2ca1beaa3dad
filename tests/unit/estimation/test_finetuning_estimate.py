"""Estimates of fine-tuning: chips, sizes of tasks, memory, layouts that fit, time, what is said."""

import concurrent.futures
import contextlib
import dataclasses
import io
import re

import pytest
import rich.console
import rich.text

from albert_core.errors import InputError
from albert_core.estimation import finetuning
from albert_core.estimation.accelerators import find_accelerator
from albert_core.estimation.compiled_step import CompiledStep, compile_step
from albert_core.estimation.finetuning import estimate_finetuning
from albert_core.estimation.memory import num_parameters, sequence_bytes, weights_bytes
from albert_core.estimation.prices import LIST_PRICES
from albert_core.estimation.task_estimate import calculated_memory
from albert_core.estimation.task_step import StepLayout, TaskStep
from albert_core.finetuning.config import FinetuningConfig
from albert_core.presets import preset
from albert_core.tasks import TASKS
from albert_core.tasks.sizes import count_examples, published_size
from albert_core.training.flops import encoder_flops_per_token, training_flops_per_token
from pipeline.cli import estimate_display
from pipeline.cli.main import main

GIB = 2**30


def step_of(task, size="base_v2", chips="v5e-8", layout=None, **settings):
    config = FinetuningConfig(recipe="original", per_task={"*": settings} if settings else {})
    return TaskStep(
        model=preset(size, vocab_size=30_000),
        task=TASKS[task],
        config=config.for_task(TASKS[task]),
        layout=layout or StepLayout(),
        accelerator=find_accelerator(chips),
    )


def estimate_of(step, *, compiles=False):
    return estimate_finetuning(
        step,
        published_size(step.task),
        utilisation=0.5,
        prices=LIST_PRICES,
        compiles=compiles,
    )


@pytest.mark.parametrize(
    ("name", "num_chips", "memory", "text"),
    [
        ("h200", 1, 139.0, "h200: 1 GPU of 139 GiB"),
        ("a100-40", 1, 39.0, "a100-40: 1 GPU of 39 GiB"),
        ("8xh100", 8, 78.0, "8xh100: 8 GPUs of 78 GiB"),
        ("v5e-8", 8, 15.75, "v5e-8: 8 chips (2x4), 8 TensorCores"),
    ],
)
def test_gpus_and_slices_by_their_names(name, num_chips, memory, text):
    found = find_accelerator(name)
    assert (found.num_chips, found.chip.memory_gib, str(found)) == (num_chips, memory, text)


@pytest.mark.parametrize("name", ["h300", "0xh100", "8x", "xh100", "8xv5e-8", ""])
def test_chips_that_do_not_exist(name):
    with pytest.raises(InputError, match=r"or GPUs, one of l4, a100-40, .* or several as 8xh100"):
        find_accelerator(name)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("base_v2", 11_683_584),
        ("large_v2", 17_683_968),
        ("xlarge_v2", 58_724_864),
        ("xxlarge_v2", 222_595_584),
    ],
)
def test_the_released_sizes_have_the_weights_of_their_checkpoints(size, expected):
    assert num_parameters(preset(size, vocab_size=30_000)) == expected


def test_the_published_sizes_are_those_of_the_tasks_of_the_original():
    race = published_size(TASKS["race"])
    parts = [published_size(TASKS[name]) for name in ("race-middle", "race-high")]
    assert race.num_train == sum(part.num_train for part in parts)
    assert race.num_dev == sum(part.num_dev for part in parts)
    changed = dataclasses.replace(TASKS["sst-2"], metrics=("f1",))
    for task in (TASKS["tnews"], changed):
        with pytest.raises(InputError, match=r"number of examples is not known, .*--data_dir"):
            published_size(task)


def test_examples_are_counted_in_the_files(tmp_path):
    rows = ["sentence\tlabel", "good\t1", "bad\t0", "\t1"]
    (tmp_path / "train.tsv").write_text("\n".join(rows))
    (tmp_path / "dev.tsv").write_text("\n".join(rows[:2]))
    size = count_examples(TASKS["sst-2"], tmp_path, leaves_out=True)
    assert (size.num_train, size.num_dev) == (2, 1)
    with pytest.raises(InputError, match=r"train\.tsv"):
        count_examples(TASKS["sst-2"], tmp_path, leaves_out=False)


def test_a_step_is_divided_among_chips_groups_and_micro_batches():
    step = step_of("race")
    assert (step.num_micro_batches, step.examples_at_a_time, step.num_sequences) == (1, 4, 128)
    small = dataclasses.replace(step, layout=StepLayout(device_batch_size=1))
    assert (small.num_micro_batches, small.sequences_at_a_time) == (4, 4)
    groups = dataclasses.replace(step, layout=StepLayout(model_parallel_size=4))
    assert (groups.num_data_parallel, groups.examples_at_a_time) == (2, 16)
    # Parts of a batch that cannot be divided evenly are filled up.
    uneven = step_of("race", chips="8xh100", batch_size=9)
    assert (uneven.examples_at_a_time, uneven.num_sequences) == (2, 64)


def test_work_is_that_of_the_layers_and_less_where_the_head_reads_one_token():
    model = preset("xxlarge_v2", vocab_size=30_000)
    of_all = encoder_flops_per_token(model, 512, reads_first_token_only=False)
    # Pretraining's formula without predictions has the same layers, three times.
    assert 3 * of_all == pytest.approx(training_flops_per_token(model, 512, 0))
    of_first = encoder_flops_per_token(model, 512, reads_first_token_only=True)
    assert 0.92 < of_first / of_all < 0.95  # the last of twelve layers, but for keys and values


# Of docs/benchmarks.md: model, sequences of a length at a time, whether rematerialised and in
# micro-batches, GiB by the compiler; all but the first are of pretraining, with its output layer.
COMPILED = [
    ("xxlarge_v2", 4, 512, False, False, 6.65),
    ("base_v2", 16, 512, False, False, 2.39),
    ("large_v2", 16, 512, False, False, 5.96),
    ("xlarge_v2", 16, 128, True, False, 1.31),
    ("xlarge_v2", 16, 512, True, False, 2.37),
    ("xlarge_v2", 64, 128, True, True, 2.41),
    ("xxlarge_v2", 16, 128, True, False, 4.22),
    ("xxlarge_v2", 16, 128, True, True, 5.11),
    ("xxlarge_v2", 8, 512, True, True, 6.31),
]


@pytest.mark.parametrize(("size", "number", "length", "again", "parts", "gib"), COMPILED)
def test_calculated_memory_is_near_what_the_compiler_said(size, number, length, again, parts, gib):
    model = preset(size, vocab_size=30_000)
    of_sequence = sequence_bytes(
        model, length, rematerialize=again, is_fused=False, model_parallel_size=1
    )
    weights = weights_bytes(model, "adamw", 1, accumulates=parts)
    assert 0.9 < (weights + number * of_sequence) / (gib * GIB) < 1.25


def test_memory_grows_with_what_is_kept():
    step = step_of("race", "xxlarge_v2")
    whole = calculated_memory(step)
    for layout in (
        StepLayout(device_batch_size=2),
        StepLayout(rematerialize=True),
        StepLayout(model_parallel_size=2, device_batch_size=4),
    ):
        assert calculated_memory(dataclasses.replace(step, layout=layout)) < whole
    dropout = dataclasses.replace(step.model, hidden_dropout_prob=0.1)
    assert calculated_memory(dataclasses.replace(step, model=dropout)) > 2 * whole
    on_gpus = dataclasses.replace(step, accelerator=find_accelerator("8xh100"))
    assert calculated_memory(on_gpus) < whole  # attention in one kernel keeps no scores


def test_what_fits_needs_no_proposal_and_its_price_is_of_all_chips():
    found = estimate_of(step_of("sst-2"))
    assert found.proposals == ()
    best = found.best
    assert (best.num_train_steps, best.num_evaluations) == (20_935, 211)
    steps, evaluations = 20_935 * best.step_seconds, 211 * best.evaluation_seconds
    assert best.hours == pytest.approx((steps + evaluations) / 3600)
    assert best.cost == pytest.approx(best.hours * 8 * 1.20)
    peak = 0.5 * 197e12
    forward = encoder_flops_per_token(best.step.model, 512, reads_first_token_only=True)
    assert best.step_seconds == pytest.approx(3 * forward * 32 * 512 / 8 / peak)
    seeds = estimate_of(step_of("sst-2", num_seeds=3)).best
    assert seeds.hours == pytest.approx(3 * best.hours)
    assert estimate_of(step_of("sst-2", chips="h200")).best.cost is None


def test_what_does_not_fit_is_proposed_in_micro_batches_or_rematerialised():
    step = step_of("race", "xxlarge_v2", "v5e-4", sequence_length=512, batch_size=64)
    found = estimate_of(step)
    assert not found.asked.is_within_memory
    plain, rematerialized = found.proposals
    assert plain.step.layout.device_batch_size <= found.most_examples
    assert rematerialized.step.layout.rematerialize
    assert found.most_rematerialized > found.most_examples
    assert all(proposal.is_within_memory for proposal in found.proposals)
    assert rematerialized.hours > plain.hours
    assert plain.step.layout.options == (
        f"--finetuning.device_batch_size {plain.step.layout.device_batch_size}"
    )


def test_only_with_model_parallelism_and_not_at_all():
    model = preset("xxlarge_v2", vocab_size=30_000, num_attention_heads=64, hidden_size=16_384)
    model = dataclasses.replace(model, intermediate_size=131_072)
    found = estimate_of(dataclasses.replace(step_of("race", chips="8xh100"), model=model))
    (first, *_) = found.proposals
    assert first.step.layout.model_parallel_size in (2, 4, 8)
    assert "--finetuning.strategy model_parallel" in first.step.layout.options
    with pytest.raises(InputError, match=r"l4: got .* GiB a chip .* take chips with more memory"):
        estimate_of(dataclasses.replace(step_of("race", chips="l4"), model=model))


class Compiler:
    """Stands for the processes that compile: a sequence needs as much memory as it is told.

    Rematerialised it needs a tenth.
    """

    def __init__(self, gib_of_sequence):
        self.gib, self.compiled = gib_of_sequence, []

    def submit(self, function, step):
        memory = self.gib * step.sequences_at_a_time * (0.1 if step.layout.rematerialize else 1)
        if step.model.num_hidden_layers > 1:
            self.compiled.append(step.examples_at_a_time)
        future = concurrent.futures.Future()
        future.set_result(
            CompiledStep(
                memory_bytes=memory * GIB,
                is_within_memory=memory <= step.accelerator.chip.memory_gib,
                flops=100.0 + 10.0 * min(step.model.num_hidden_layers, 2),
                exchanged_bytes=0,
                seconds=1.0,
            )
        )
        return future


@pytest.mark.parametrize(
    ("gib_of_sequence", "tried", "options"),
    [
        (0.9, [4], ""),
        (1.5, [4, 2], "--finetuning.device_batch_size 2"),
        (5.0, [4, 4], "--finetuning.rematerialize true"),
    ],
)
def test_the_compiler_has_the_last_word(monkeypatch, gib_of_sequence, tried, options):
    compiler = Compiler(gib_of_sequence)
    monkeypatch.setattr(
        finetuning, "in_compiler_process", lambda _: contextlib.nullcontext(compiler)
    )
    found = estimate_of(step_of("race", "base_v2"), compiles=True)
    assert compiler.compiled == tried
    assert found.best.step.layout.options == options
    of_sequence = gib_of_sequence * (0.1 if "rematerialize" in options else 1)
    assert found.best.memory_bytes == pytest.approx(of_sequence * tried[-1] * 4 * GIB)
    assert len(found.proposals) == bool(options)
    parts = found.best.step.num_micro_batches
    assert found.best.flops_per_step == parts * (100 + 10 * 12)  # of twelve layers, two are counted


def test_what_the_compiler_never_fits_is_refused(monkeypatch):
    monkeypatch.setattr(
        finetuning, "in_compiler_process", lambda _: contextlib.nullcontext(Compiler(50.0))
    )
    with pytest.raises(InputError, match=r"v5e-8: got 800\.00 GiB a chip for the step of race"):
        estimate_of(step_of("race", "base_v2"), compiles=True)


def test_gpus_are_calculated_whatever_is_asked_for(monkeypatch):
    monkeypatch.setattr(finetuning, "in_compiler_process", None)
    assert estimate_of(step_of("race", chips="h200"), compiles=True).best.compiled is None


def said(capsys, *options):
    assert main(["estimate", *options]) == 0
    return capsys.readouterr().out


def test_the_command_tells_memory_time_and_price_of_the_originals_recipe(capsys):
    text = said(
        capsys,
        *("--task", "race", "--config", "xxlarge_v2", "--accelerator", "v5e-8", "--calculated"),
    )
    assert "race: 87,866 examples to train on, 4,887 to evaluate (as published); the orig" in text
    assert "sequence length 512, 4 sequences an example, 32 examples a step, 4 a chip" in text
    assert "for 12,000 steps and 121 evaluations" in text
    assert "(calculated)" in text
    assert "compiled" not in text
    assert "chip-hours" in text
    assert "USD" in text


def test_what_is_given_wins_over_the_recipe_and_a_folder_is_a_task(capsys, tmp_path):
    gpu = ("--accelerator", "a100-40", "--finetuning.sequence_length", "128")
    text = said(capsys, "--task", "sst-2", *gpu)
    assert "sequence length 128, 32 examples a step, 32 a chip" in text
    assert "20,935 steps" in text
    assert "no price of a100-40 in the table" in text
    assert "Calculated for JAX" in text
    (tmp_path / "task.yaml").write_text(
        "name: mine\ntexts: [text]\nlabels: [a, b]\nmetrics: [accuracy]\n"
        "train: train.jsonl\ndev: train.jsonl\n"
    )
    (tmp_path / "train.jsonl").write_text('{"text": "x", "label": "a"}\n' * 64)
    text = said(capsys, "--task", str(tmp_path), *gpu)
    assert f"mine: 64 examples to train on, 64 to evaluate (counted in {tmp_path})" in text
    assert "the settings of finetuning" in text
    assert "for 6 steps and 3 evaluations" in text


def test_minutes_are_estimated_as_the_steps_that_fit_into_them(capsys):
    options = "--task sst-2 --accelerator h200 --finetuning.train_minutes"
    assert main(["estimate", *options.split(), "30"]) == 0
    text = capsys.readouterr().out
    assert "time        30 min for " in text
    main(["estimate", *options.split(), "60"])
    steps, fewer = (
        int(re.search(r"for ([\d,]+) steps", told)[1].replace(",", ""))
        for told in (capsys.readouterr().out, text)
    )
    assert steps == pytest.approx(2 * fewer, rel=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--task", "rce", "--accelerator", "h200"], "task 'rce': unknown; expected one of cola"),
        (["--task", "race", "--accelerator", "h1"], "--accelerator: got 'h1', expected one of v5e"),
        (["--accelerator", "v5e-8", "--calculated"], "--calculated: got it without --task"),
        (["--accelerator", "h200"], "--accelerator: got 'h200', expected one of v5e-1"),
        (
            ["--task", "race", "--accelerator", "h200", "--finetuning.frozen", "encoder"],
            "finetuning.frozen: got encoder, expected nothing",
        ),
        (
            ["--task", "race", "--accelerator", "h200", "--finetuning.precision", "float32"],
            "finetuning.precision: got float32, expected auto or bfloat16",
        ),
        (
            ["--task", "race", "--accelerator", "h200", "--finetuning.sequence_length", "600"],
            "finetuning.sequence_length: got 600, expected at most",
        ),
        (
            ["--task", "race", "--accelerator", "8xh100", "--finetuning.strategy", "single"],
            "finetuning.strategy: got single with the 8 chips of 8xh100, expected auto",
        ),
        (
            ["--accelerator", "v5e-8", "--pretraining.strategy", "single"],
            "pretraining.strategy: got single with the 8 chips of v5e-8, expected auto",
        ),
    ],
)
def test_what_cannot_be_estimated(capsys, options, message):
    assert main(["estimate", *options]) == 2
    assert message in capsys.readouterr().err


def test_a_terminal_shows_what_is_compiled_and_for_how_long(monkeypatch, capsys):
    with estimate_display.compilation_progress() as progress:
        progress(0, 0, "compiling one step")
    assert capsys.readouterr().err == "estimate: compiling one step\n"
    terminal = rich.console.Console(file=io.StringIO(), force_terminal=True, width=80)
    monkeypatch.setattr(estimate_display, "make_console", lambda to_stderr: terminal)
    with estimate_display.compilation_progress() as progress:
        progress(0, 0, "compiling one step")
        progress(0, 0, "compiling another")
    assert "compiling another 0:00:0" in rich.text.Text.from_ansi(terminal.file.getvalue()).plain


def lower_all(steps):
    """Trace each step for its slice, in a process of the compiler; return what the first needs."""
    for step in steps[1:]:
        step.lower()
    return compile_step(steps[0])


@pytest.mark.slow
def test_the_steps_of_all_kinds_are_traced_and_one_is_compiled(compiler):
    tiny = preset("tiny", vocab_size=4000, num_hidden_layers=2)
    steps = [
        dataclasses.replace(
            step_of(name, chips="v5e-4", layout=layout, sequence_length=64, batch_size=16),
            model=tiny,
        )
        for name, layout in (
            ("race", StepLayout(device_batch_size=2)),
            ("sst-2", StepLayout(rematerialize=True)),
            ("sts-b", StepLayout(model_parallel_size=2)),
            ("squad1", StepLayout()),
            ("squad2", StepLayout()),
        )
    ]
    compiled = compiler.submit(lower_all, steps).result()
    assert compiled.is_within_memory
    assert compiled.exchanged_bytes > 0
