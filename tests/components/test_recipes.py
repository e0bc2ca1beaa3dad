"""The configurations in pipeline/configs: all are possible, and the longest one starts."""

import dataclasses

import pytest

from pipeline.config_files import read_config
from tests.helpers.documented import ROOT
from tests.helpers.tiny_pretraining import train

BATCH_SIZE = 64  # also of the evaluations, whose batches cost what their layers do
CONFIGS = sorted((ROOT / "pipeline" / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_model_phases_and_budget_of_a_recipe_go_together(path):
    config = read_config(path)
    pretraining = config.pretraining
    model = config.model.with_vocabulary(config.vocab.size)
    pretraining.check_depths(model)
    lengths = pretraining.sequence_lengths(config.records.sequence_length)
    pretraining.check_positions(lengths, model.max_position_embeddings)


@pytest.mark.slow
@pytest.mark.usefixtures("eager")  # of twelve layers two steps would be traced
def test_the_day_of_a_gpu_starts_with_few_layers_and_goes_on_with_all(material, tmp_path):
    recipe = read_config(ROOT / "pipeline" / "configs" / "base_day.yaml").pretraining
    settings = {
        field.name: getattr(recipe, field.name) for field in dataclasses.fields(type(recipe))
    }
    short = {
        "phases": tuple(
            dataclasses.replace(phase, sequence_length=24, num_train_steps=2)
            for phase in recipe.phases
        ),
        "train_minutes": None,
        "warmup_ratio": 0.5,
        "evaluation_interval_steps": 2,
        "log_interval_steps": 1,
        "batch_size": BATCH_SIZE,
        "precision": "float32",
    }
    manifest = train(
        material,
        tmp_path / "model",
        overrides={"num_hidden_layers": 12},
        **{**settings, **short},
    )
    assert manifest.metrics["global_step"] == 4
    assert manifest.metrics["num_tokens"] == 4 * BATCH_SIZE * 24
