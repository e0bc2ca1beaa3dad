"""How long a pretraining takes here, by its FLOPs, and which ones need a confirmation."""

import dataclasses

import pytest

from albert_core.errors import InputError
from albert_core.estimation.this_machine import (
    Machine,
    duration_text,
    estimate_seconds,
    refuse_unconfirmed,
    this_machine,
    training_flops,
)
from albert_core.presets import preset
from albert_core.pretraining.config import PretrainingConfig
from albert_core.pretraining.phases import PhaseConfig
from albert_core.processes.machine import num_usable_cores
from pipeline.config import RunConfig
from pipeline.config_files import read_config
from tests.helpers.documented import ROOT

DAY_S = 86_400
TWO_CORES = Machine(description="2 cores", flops=340e9)
MODEL = preset("base_v2", vocab_size=30_000)


def gpu_folder(folder, *models):
    for number, model in enumerate(models):
        (folder / str(number)).mkdir(parents=True)
        (folder / str(number) / "information").write_text(f"Model: \t\t {model}\nIRQ:   17\n")
    return folder


def test_the_defaults_take_years_on_a_laptop_and_hours_on_a_rack(tmp_path):
    config, folder = PretrainingConfig(), gpu_folder(tmp_path, *["NVIDIA H100 80GB HBM3"] * 8)
    seconds = estimate_seconds(config, MODEL, 512, TWO_CORES)
    assert 10 < seconds / DAY_S / 365 < 16
    rack = this_machine(gpu_folder=folder, environment={})
    assert rack.description == "8 x NVIDIA H100 80GB HBM3"
    assert estimate_seconds(config, MODEL, 512, rack) < DAY_S
    refuse_unconfirmed(config, MODEL, 512, rack)
    with pytest.raises(InputError, match=r"about 1\d years on this machine \(2 cores\)") as caught:
        refuse_unconfirmed(config, MODEL, 512, TWO_CORES)
    for way in ("--yes", "small.yaml", "--pretraining.train_minutes 60", "albert estimate"):
        assert way in str(caught.value)


def test_phases_and_early_stops_count():
    phases = (
        PhaseConfig(sequence_length=128, num_train_steps=30, num_warmup_steps=1),
        PhaseConfig(sequence_length=512, num_train_steps=10, num_warmup_steps=1, batch_size=8),
    )
    config = PretrainingConfig(phases=phases, batch_size=64, evaluation_interval_steps=5)
    of_token = {length: config.flops_per_token(MODEL, length, p) for length, p in _slots(config)}
    short, long = 64 * 128 * of_token[128], 8 * 512 * of_token[512]
    assert training_flops(config, MODEL, 1) == pytest.approx(30 * short + 10 * long)
    stopped = dataclasses.replace(config, stop_after_steps=34)
    assert training_flops(stopped, MODEL, 1) == pytest.approx(30 * short + 4 * long)


def _slots(config):
    return [(length, config.masking.max_predictions(length)) for length in (128, 512)]


@pytest.mark.parametrize(
    ("settings", "minutes"),
    [
        ({"train_minutes": 90.0}, 90),
        ({"train_minutes": 90.0, "stop_after_minutes": 30.0}, 30),
        ({"stop_after_minutes": 45.0}, 45),
    ],
)
def test_a_budget_of_minutes_is_what_it_says_on_any_machine(settings, minutes):
    config = PretrainingConfig(warmup_ratio=0.1, **settings)
    for machine in (TWO_CORES, Machine(description="accelerators", flops=None)):
        assert estimate_seconds(config, MODEL, 512, machine) == 60 * minutes


@pytest.mark.parametrize("name", ["demo", "small", "base_10min", "base_day"])
def test_the_configurations_of_this_repository_need_no_confirmation(name):
    config: RunConfig = read_config(ROOT / "pipeline" / "configs" / f"{name}.yaml")
    model = config.model.with_vocabulary(config.vocab.size)
    refuse_unconfirmed(config.pretraining, model, config.records.sequence_length, TWO_CORES)


def test_cores_gpus_and_what_is_not_known(tmp_path):
    none, devices = tmp_path / "none", tmp_path / "dev"
    devices.mkdir()
    machine = this_machine(gpu_folder=none, devices=devices, environment={})
    assert machine.flops == pytest.approx(num_usable_cores() * 170e9)
    assert machine.description.startswith(f"{num_usable_cores()} core")
    (devices / "accel0").touch()
    assert this_machine(gpu_folder=none, devices=devices, environment={}).flops is None
    unknown = this_machine(gpu_folder=gpu_folder(tmp_path / "new", "NVIDIA Z1"), environment={})
    assert (unknown.description, unknown.flops) == ("NVIDIA Z1", None)
    refuse_unconfirmed(PretrainingConfig(), MODEL, 512, unknown)


@pytest.mark.parametrize(
    ("visible", "expected"), [("0", 1), ("0,1", 2), ("1,-1,0", 1), ("GPU-ab,GPU-cd,GPU-ef", 3)]
)
def test_hidden_gpus_do_not_count(tmp_path, visible, expected):
    folder = gpu_folder(tmp_path, *["Tesla T4"] * 3)
    machine = this_machine(gpu_folder=folder, environment={"CUDA_VISIBLE_DEVICES": visible})
    assert machine.flops == pytest.approx(expected * 0.5 * 65e12)


def test_without_visible_gpus_the_cores_count(tmp_path):
    folder = gpu_folder(tmp_path / "gpus", "Tesla T4")
    for visible in ("", "-1"):
        machine = this_machine(
            gpu_folder=folder, devices=tmp_path, environment={"CUDA_VISIBLE_DEVICES": visible}
        )
        assert "core" in machine.description


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.0, "1 hour"),
        (30 * 3600, "30 hours"),
        (1.6 * DAY_S, "2 days"),
        (44 * DAY_S, "44 days"),
        (200 * DAY_S, "7 months"),
        (13 * 365 * DAY_S, "13 years"),
        (2_400 * 365 * DAY_S, "2,400 years"),
    ],
)
def test_times_are_told_in_a_unit_that_fits(seconds, text):
    assert duration_text(seconds) == text
