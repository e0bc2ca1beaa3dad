"""Architectures: the released sizes to the parameter, files of the original, refused settings."""

import dataclasses
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from albert_core.config import AlbertConfig, describe_ignored_keys
from albert_core.errors import InputError
from albert_core.finetuning.config import FinetuningConfig
from albert_core.presets import PRESETS, ModelConfig, preset
from albert_core.pretraining.config import PretrainingConfig
from albert_core.records.config import MaskingConfig, RecordsConfig

SIZES = ("base", "large", "xlarge", "xxlarge")


@pytest.fixture(scope="module")
def released(goldens: Path) -> dict[str, Any]:
    path = goldens / "model" / "albert_sizes_variables.json"
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def without_values() -> Iterator[None]:
    """Make variables that have a name and a shape but no memory."""
    import keras

    with keras.StatelessScope(initialize_variables=False):
        yield
    keras.utils.clear_session()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.usefixtures("without_values")
def test_released_sizes_have_the_originals_variables(size: str, released: dict[str, Any]) -> None:
    from albert_core.model import AlbertForPreTraining, weights_by_name

    weights = weights_by_name(AlbertForPreTraining(preset(f"{size}_v2", vocab_size=30_000)))
    shapes = {name: list(weight.shape) for name, weight in weights.items()}
    assert shapes == dict(released[size]["variables"])
    num_parameters = {name: math.prod(shape) for name, shape in shapes.items()}
    assert sum(num_parameters.values()) == released[size]["total_params"]
    encoder = sum(count for name, count in num_parameters.items() if name.startswith("bert/"))
    assert encoder == released[size]["encoder_params"]


@pytest.mark.parametrize("size", SIZES)
def test_second_versions_equal_the_released_configurations(
    size: str, released: dict[str, Any]
) -> None:
    values = preset(f"{size}_v2", vocab_size=30_000).to_dict()
    assert {key: values[key] for key in released[size]["config"]} == released[size]["config"]


@pytest.mark.parametrize("size", SIZES)
def test_first_versions_differ_from_the_second_only_in_dropout(size: str) -> None:
    dropout = 0.0 if size == "xxlarge" else 0.1
    second = preset(f"{size}_v2", vocab_size=30_000)
    assert preset(f"{size}_v1", vocab_size=30_000) == dataclasses.replace(
        second, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout
    )


@pytest.mark.parametrize("name", PRESETS)
def test_configuration_survives_its_file(name: str, tmp_path: Path) -> None:
    config = preset(name, vocab_size=123, layers_to_keep=(1, 2))
    config.to_json_file(tmp_path / "albert_config.json")
    assert AlbertConfig.from_json_file(tmp_path / "albert_config.json") == config


@pytest.mark.parametrize("folder", ["g1i1_factorised", "g2i2_equal_emb"])
def test_files_of_the_original_are_read(folder: str, goldens: Path) -> None:
    path = goldens / "model" / folder / "albert_config.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    config = AlbertConfig.from_json_file(path).to_dict()
    assert {key: config[key] for key in values} == values


def test_model_section_overrides_single_keys() -> None:
    model = ModelConfig(preset="tiny", overrides={"num_hidden_layers": 4})
    config = model.with_vocabulary(500)
    assert config == preset("tiny", vocab_size=500, num_hidden_layers=4)
    assert (config.vocab_size, config.num_hidden_layers, config.head_size) == (500, 4, 32)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"vocab_size": 0}, "vocab_size"),
        ({"num_hidden_layers": -1}, "num_hidden_layers"),
        ({"intermediate_size": 1.5}, "intermediate_size"),
        ({"hidden_size": "768"}, "hidden_size"),
        ({"hidden_size": 100, "num_attention_heads": 64}, "num_attention_heads=64"),
        ({"hidden_act": "swish"}, "hidden_act .* one of gelu, relu"),
        ({"hidden_dropout_prob": 1.0}, "hidden_dropout_prob"),
        ({"attention_probs_dropout_prob": math.nan}, "attention_probs_dropout_prob"),
        ({"initializer_range": math.nan}, "initializer_range"),
        ({"hidden_sise": 768}, "hidden_sise"),
        ({768: "hidden_size"}, "unknown keys 768"),
        ({"layers_to_keep": 3}, "layers_to_keep of the model: got the number 3, expected a list"),
        ({"layers_to_keep": None}, "layers_to_keep of the model: got null"),
        ({"layers_to_keep": ["a"]}, "layers_to_keep of the model: got a list, .* leave it out"),
        ({"gap_size": None}, "gap_size of the model: got null, .* leave it out"),
        ({"hidden_size": None}, "hidden_size of the model: got null"),
        ({"vocab_size": True}, "vocab_size of the model: got true"),
        ({"hidden_act": None}, "hidden_act of the model: got null"),
        ({"hidden_act": ["gelu"]}, "hidden_act of the model: got a list"),
        ({"hidden_dropout_prob": "0.1"}, "hidden_dropout_prob of the model: got the text '0.1'"),
        ({"hidden_dropout_prob": 10**400}, "hidden_dropout_prob of the model: got the number 1000"),
        ({"hidden_dropout_prob": False}, "hidden_dropout_prob of the model: got false"),
        ({"initializer_range": math.inf}, "initializer_range"),
        ({"initializer_range": None}, "initializer_range of the model: got null"),
    ],
)
def test_impossible_architecture_is_refused_by_name(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        AlbertConfig.from_dict({"vocab_size": 100, **settings})


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        ({"vocab_size": 7}, r"model\.overrides: got vocab_size 7, expected none: the vocabulary"),
        ({"layers_to_keep": 3}, "layers_to_keep"),
        ({"name": "tiny"}, "unknown keys name"),
    ],
)
def test_overrides_that_are_none_of_a_preset_are_refused(
    overrides: dict[str, Any], named: str
) -> None:
    with pytest.raises(InputError, match=named):
        ModelConfig(overrides=overrides).with_vocabulary(100)


def test_missing_vocabulary_size_and_unknown_preset_are_refused() -> None:
    with pytest.raises(InputError, match="vocab_size is missing"):
        AlbertConfig.from_dict({})
    with pytest.raises(InputError, match="'huge', expected one of tiny, small, base_v1"):
        preset("huge", vocab_size=100)


@pytest.mark.parametrize(
    ("section", "setting", "value"),
    [
        (RecordsConfig, "sequence_length", 4),
        (RecordsConfig, "short_sequence_probability", 1.0),
        (RecordsConfig, "held_out_fraction", -0.1),
        (RecordsConfig, "dupe_factor", 0),
        (RecordsConfig, "num_shards", 0),
        (MaskingConfig, "mask_probability", 0.0),
        (MaskingConfig, "max_ngram", 0),
        (PretrainingConfig, "batch_size", 0),
        (PretrainingConfig, "learning_rate", math.inf),
        (PretrainingConfig, "num_warmup_steps", 125_000),
        (PretrainingConfig, "evaluation_interval_steps", 7),
        (FinetuningConfig, "sequence_length", 7),
        (FinetuningConfig, "num_epochs", 0.0),
        (FinetuningConfig, "warmup_ratio", 1.0),
        (FinetuningConfig, "grid_learning_rates", (1e-5, 2e-5, 0.00001)),
        (FinetuningConfig, "grid_batch_sizes", (16, 16)),
        (FinetuningConfig, "per_task", {"cola": {"batchsize": 8}}),
        (FinetuningConfig, "per_task", {"cola": {"batch_size": 0}}),
    ],
)
def test_impossible_setting_is_refused_by_name(section: type, setting: str, value: Any) -> None:
    named = {"evaluation_interval_steps": "multiple of the 7 steps between evaluations"}
    with pytest.raises(InputError, match=named.get(setting, "batch_?size|" + setting)):
        section(**{setting: value})


def test_a_configuration_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "albert_config.json"
    for text in ("7", "[]", '"tiny"'):
        path.write_text(text)
        with pytest.raises(InputError, match=r"albert_config\.json: got .*, expected an object"):
            AlbertConfig.from_json_file(path)
        with pytest.raises(InputError, match=r"expected the keys of albert_config\.json"):
            AlbertConfig.from_dict(json.loads(text))


BERT = {
    "directionality": "bidi",
    "pooler_fc_size": 768,
    "pooler_num_attention_heads": 12,
    "pooler_num_fc_layers": 3,
    "pooler_size_per_head": 128,
    "pooler_type": "first_token_transform",
}


def test_keys_of_bert_are_passed_over_and_told(tmp_path: Path) -> None:
    path = tmp_path / "albert_config.json"
    path.write_text(json.dumps({"vocab_size": 7, **BERT, "ln_type": "postln"}))
    assert AlbertConfig.from_json_file(path) == AlbertConfig(vocab_size=7)
    (note,) = describe_ignored_keys(path)
    assert note.startswith(f"{path}: passed over directionality, pooler_fc_size")
    path.write_text(json.dumps({"vocab_size": 7}))
    assert describe_ignored_keys(path) == ()
    with pytest.raises(InputError, match="unknown keys directionality"):
        ModelConfig(overrides={"directionality": "bidi"}).with_vocabulary(7)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "no such file"),
        ("[]", "got a list, expected an object"),
        ("[" * 99999, "not JSON"),
        ('{"vocab_size": null}', "vocab_size of the model: got null"),
        ('{"vocab_size": 7, "ln_type": "preln"}', "ln_type of the model: got the text 'preln'"),
        ('{"vocab_size": 7, "ln_type": null}', "ln_type of the model: got null"),
        ('{"vocab_size": 7, "num_heads": 2}', "unknown keys num_heads; .*correct or remove them"),
    ],
)
def test_a_file_that_is_no_architecture_is_named(text, reason, tmp_path: Path) -> None:
    path = tmp_path / "albert_config.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=rf"^model configuration {path}: {reason}"):
        AlbertConfig.from_json_file(path)
