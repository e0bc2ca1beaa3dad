"""Settings of optimizers: which optimizer has which, and which of them make other work."""

import pytest

from albert_core.errors import InputError
from albert_core.finetuning.config import FinetuningConfig
from albert_core.optimizers.settings import ORIGINAL_MOMENTS, OptimizerConfig
from albert_core.pretraining.config import PretrainingConfig
from albert_core.pretraining.phases import PhaseConfig
from albert_core.tasks import TASKS
from components.finetune.step import recorded_settings as recorded_finetuning
from components.pretrain.step import recorded_settings as recorded_pretraining

CORRECTED = {"bias_correction": True, "beta_2": 0.98}


def test_each_optimizer_gets_its_settings():
    adamw = OptimizerConfig(optimizer="adamw", **CORRECTED)
    assert adamw.optimizer_settings == {**ORIGINAL_MOMENTS, **CORRECTED}
    muon = OptimizerConfig(optimizer="muon", muon_rate_ratio=2.0, muon_precision="float32")
    of_muon = {"momentum": 0.95, "rate_ratio": 2.0, "precision": "float32"}
    assert muon.optimizer_settings == {**ORIGINAL_MOMENTS, **of_muon}


@pytest.mark.parametrize("config", [PretrainingConfig, FinetuningConfig])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beta_1": 1.0}, r"\.beta_1: got 1\.0, expected between 0 and 1"),
        ({"beta_2": 0.0}, r"\.beta_2: got 0\.0, expected between 0 and 1"),
        ({"epsilon": 0.0}, r"\.epsilon: got 0\.0, expected a number above 0"),
        (
            {"optimizer": "muon", "muon_rate_ratio": float("inf")},
            r"\.muon_rate_ratio: got inf, expected a number above 0",
        ),
        ({"optimizer": "muon", "muon_momentum": -0.1}, r"\.muon_momentum: got -0\.1"),
        (
            {"optimizer": "adamw", "muon_precision": "bfloat16"},
            r"got bfloat16, which the optimizer adamw does not have; expected the optimizer muon",
        ),
    ],
)
def test_settings_out_of_range_or_of_another_optimizer_are_refused(config, settings, message):
    with pytest.raises(InputError, match=message):
        config(**settings)


@pytest.mark.parametrize(
    ("record", "config"),
    [(recorded_pretraining, PretrainingConfig), (recorded_finetuning, FinetuningConfig)],
)
def test_work_of_versions_without_these_settings_keeps_its_fingerprint(record, config):
    names = {*ORIGINAL_MOMENTS, "muon_momentum", "muon_rate_ratio", "muon_precision"}
    former = {"bias_correction": False}
    assert not names & record(config(**former)).keys()
    assert names & record(config(**CORRECTED)).keys() == CORRECTED.keys()
    with_muon = record(config(optimizer="muon", **former))
    assert names & with_muon.keys() == names - ORIGINAL_MOMENTS.keys()


def test_work_without_averages_and_a_scale_of_initial_weights_keeps_its_fingerprint():
    later = {"ema_decay": 0.999, "residual_init_scale": 0.15}
    assert not later.keys() & recorded_pretraining(PretrainingConfig()).keys()
    assert later.items() <= recorded_pretraining(PretrainingConfig(**later)).items()


def test_work_in_phases_of_all_layers_keeps_its_fingerprint():
    phases = (
        PhaseConfig(sequence_length=128, num_hidden_layers=4),
        PhaseConfig(sequence_length=512),
    )
    growing, whole = recorded_pretraining(PretrainingConfig(phases=phases))["phases"]
    assert growing["num_hidden_layers"] == 4
    assert whole.keys() == growing.keys() - {"num_hidden_layers"}


def test_the_original_recipe_has_the_moments_of_the_original():
    config = FinetuningConfig(recipe="original", **CORRECTED)
    settings = config.for_task(TASKS["cola"]).optimizer_settings
    assert settings == ORIGINAL_MOMENTS
    excepted = FinetuningConfig(recipe="original", per_task={"cola": CORRECTED})
    settings = excepted.for_task(TASKS["cola"]).optimizer_settings
    assert settings == {**ORIGINAL_MOMENTS, **CORRECTED}
    general = FinetuningConfig(**CORRECTED).for_task(TASKS["cola"])
    assert general.optimizer_settings == {**ORIGINAL_MOMENTS, **CORRECTED}
