"""Folders of Hugging Face: what is written, what is read, and which models are refused."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from albert_core.checkpoints import (
    read_checkpoint,
    read_huggingface,
    save_folder,
    save_huggingface,
    save_release,
)
from albert_core.checkpoints.description import describe, summarize_vocabulary
from albert_core.checkpoints.names import name_pairs
from albert_core.errors import InputError
from albert_core.model import AlbertForQuestionAnswering, AlbertForQuestionAnsweringWithBeam
from albert_core.tokenization import SentencePieceTokenizer, Tokenizer, WordPieceTokenizer
from tests.helpers.checkpoint_samples import (
    CONFIG,
    KERNEL,
    Arrays,
    classifier,
    edit_json,
    edit_weights,
    names_in,
    of_model,
    pooled,
    pretrained,
)
from tests.helpers.export_samples import SINGLE

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"piece{k}" for k in range(115))]
TASK = {"name": "moods", "labels": ["sad", "glad", "mad"]}


@pytest.fixture
def huggingface(tokenizer: SentencePieceTokenizer, tmp_path: Path) -> Path:
    save_huggingface(pretrained(tokenizer=tokenizer), tmp_path / "huggingface")
    return tmp_path / "huggingface"


def test_no_two_variables_share_a_name() -> None:
    pairs = name_pairs(CONFIG)
    assert len({pair.original for pair in pairs}) == len(pairs)
    assert len({pair.huggingface for pair in pairs}) == len(pairs)


def test_transformers_configuration(huggingface: Path) -> None:
    values = json.loads((huggingface / "config.json").read_text())
    expected = {
        "architectures": ["AlbertForPreTraining"],
        "model_type": "albert",
        "hidden_act": "gelu_new",
        "inner_group_num": 2,
        "num_hidden_groups": 2,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 3,
    }
    assert {name: values[name] for name in expected} == expected
    assert read_huggingface(huggingface).config == CONFIG


def test_names_of_the_labels_go_along(tmp_path: Path) -> None:
    save_huggingface(classifier(3, SINGLE, task=TASK), tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    assert values["architectures"] == ["AlbertForSequenceClassification"]
    assert values["id2label"] == {"0": "sad", "1": "glad", "2": "mad"}
    assert values["problem_type"] == "single_label_classification"


def test_one_output_is_a_regression_unless_it_scores_choices(tmp_path: Path) -> None:
    save_huggingface(classifier(1, SINGLE), tmp_path / "regression")
    values = json.loads((tmp_path / "regression" / "config.json").read_text())
    assert (values["problem_type"], len(values["id2label"])) == ("regression", 1)
    save_huggingface(classifier(1, SINGLE, is_multiple_choice=True), tmp_path / "choice")
    assert read_huggingface(tmp_path / "choice").is_multiple_choice
    assert not read_huggingface(tmp_path / "regression").is_multiple_choice


def test_question_answering_loses_only_the_pooler_it_does_not_have(tmp_path: Path) -> None:
    checkpoint = of_model(AlbertForQuestionAnswering(SINGLE))
    notes = save_huggingface(checkpoint, tmp_path)
    assert "left out bert/pooler/" in notes[0]
    back = read_huggingface(tmp_path)
    assert back.lacks_pooler
    whole = back.with_pooler()
    assert whole.weights.keys() == checkpoint.weights.keys()
    assert not whole.weights[KERNEL].any()
    assert "a pooler of zeros stands in" in whole.notes[0]


def test_squad_2_has_no_counterpart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no ALBERT with the heads span_beam"):
        save_huggingface(of_model(AlbertForQuestionAnsweringWithBeam(SINGLE)), tmp_path)
    assert not names_in(tmp_path)


def test_heads_that_read_no_pooler_have_no_counterpart(tmp_path: Path) -> None:
    for save, name in ((save_huggingface, "huggingface"), (save_release, "tf1")):
        with pytest.raises(
            InputError, match=rf"\(pooling mean\), expected pooler, since {name} ha"
        ):
            save(pooled("mean", SINGLE), tmp_path)
    assert not names_in(tmp_path)


def test_what_older_versions_wrote_twice_is_read_once(huggingface: Path) -> None:
    names = read_huggingface(huggingface).weights.keys()

    def add(arrays: Arrays) -> None:
        words = arrays["albert.embeddings.word_embeddings.weight"]
        arrays["predictions.decoder.weight"] = words.copy()
        arrays["predictions.decoder.bias"] = arrays["predictions.bias"].copy()
        arrays["albert.embeddings.position_ids"] = np.arange(24)[None]

    edit_weights(huggingface / "model.safetensors", add)
    assert read_huggingface(huggingface).weights.keys() == names


def test_an_output_layer_of_its_own_is_refused(huggingface: Path) -> None:
    def untie(arrays: Arrays) -> None:
        arrays["predictions.decoder.weight"] = np.zeros((120, 8), np.float32)

    edit_weights(huggingface / "model.safetensors", untie)
    with pytest.raises(InputError, match=r"predictions\.decoder\.weight differs from albert"):
        read_huggingface(huggingface)


def test_half_precision_is_read_as_single(huggingface: Path) -> None:
    def halve(arrays: Arrays) -> None:
        arrays.update({name: array.astype(np.float16) for name, array in arrays.items()})

    edit_weights(huggingface / "model.safetensors", halve)
    dtypes = {array.dtype for array in read_huggingface(huggingface).weights.values()}
    assert dtypes == {np.dtype(np.float32)}


def test_unknown_parameters_are_listed(huggingface: Path) -> None:
    names = ["adapter.down", "adapter.up"]
    edit_weights(
        huggingface / "model.safetensors",
        lambda arrays: arrays.update({name: np.zeros(1, np.float32) for name in names}),
    )
    with pytest.raises(InputError, match=r"no counterpart for adapter\.down, adapter\.up"):
        read_huggingface(huggingface)


def test_shared_weights_are_found_under_either_name(huggingface: Path) -> None:
    """Writers of safetensors keep one name of a shared array, and not always the same."""
    before = read_huggingface(huggingface)

    def rename(arrays: Arrays) -> None:
        words = "albert.embeddings.word_embeddings.weight"
        arrays["predictions.decoder.weight"] = arrays.pop(words)
        arrays["predictions.decoder.bias"] = arrays.pop("predictions.bias")

    edit_weights(huggingface / "model.safetensors", rename)
    assert read_huggingface(huggingface).content_hash() == before.content_hash()
    num_parameters = sum(array.size for array in before.weights.values())
    assert describe(huggingface).model.num_parameters == num_parameters


def test_a_projection_the_original_does_not_have_is_refused(tmp_path: Path) -> None:
    checkpoint = pretrained(dataclasses.replace(CONFIG, embedding_size=16))
    save_huggingface(checkpoint, tmp_path)
    assert read_huggingface(tmp_path).weights.keys() == checkpoint.weights.keys()
    edit_weights(
        tmp_path / "model.safetensors",
        lambda arrays: arrays["albert.encoder.embedding_hidden_mapping_in.weight"].fill(0.5),
    )
    with pytest.raises(InputError, match=r"mapping_in\.weight is not the identity"):
        read_huggingface(tmp_path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model_type": "bert"}, "got model_type='bert', expected 'albert'"),
        ({"layer_norm_eps": 1e-5}, "got layer_norm_eps=1e-05, expected 1e-12"),
        ({"position_embedding_type": "relative_key"}, "expected 'absolute'"),
        ({"hidden_act": "silu"}, "hidden_act of the model: got 'silu'"),
        ({"architectures": ["AlbertForImages"]}, "got architecture AlbertForImages"),
        ({"architectures": "AlbertModel"}, "got the text 'AlbertModel' as 'architectures', expect"),
        ({"architectures": 5}, "got the number 5 as 'architectures', expected a list"),
        ({"architectures": [None]}, r"got null as 'architectures\[0\]', expected text"),
        ({"hidden_size": None}, r"config\.json: hidden_size of the model: got null"),
        ({"hidden_act": None}, r"config\.json: hidden_act of the model: got null"),
        (
            {"hidden_dropout_prob": "0"},
            r"config\.json: hidden_dropout_prob of the model: got the t",
        ),
        ({"model_type": ["albert"]}, r"got model_type=\['albert'\], expected 'albert'"),
    ],
)
def test_a_model_the_original_cannot_be_is_refused(
    changes: dict[str, Any], reason: str, huggingface: Path
) -> None:
    edit_json(huggingface / "config.json", **changes)
    with pytest.raises(InputError, match=reason):
        read_huggingface(huggingface)


def test_the_exact_gelu_is_taken_for_the_originals_and_said_so(huggingface: Path) -> None:
    edit_json(huggingface / "config.json", hidden_act="gelu")
    checkpoint = read_huggingface(huggingface)
    assert checkpoint.config.hidden_act == "gelu"
    assert "the original's tanh form takes its place" in checkpoint.notes[0]


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors.index.json"])
def test_other_forms_of_weights_are_refused_with_the_remedy(name: str, huggingface: Path) -> None:
    (huggingface / "model.safetensors").rename(huggingface / name)
    with pytest.raises(InputError, match=rf"got {name}, expected .*save_pretrained"):
        read_huggingface(huggingface)


@pytest.mark.parametrize("kind", ["sentencepiece", "wordpiece"])
def test_kept_accents_go_along(
    kind: str, tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    settings = {"lower_case": True, "strip_accents": False}
    own: Tokenizer = WordPieceTokenizer(PIECES, **settings)
    if kind == "sentencepiece":
        own = SentencePieceTokenizer(tokenizer.model, **settings)
    checkpoint = pretrained(tokenizer=own)
    for to, save in (
        ("huggingface", save_huggingface),
        ("tf1", save_release),
        ("own", save_folder),
    ):
        save(checkpoint, tmp_path / to)
        back = read_checkpoint(tmp_path / to)
        assert back.tokenizer.content_hash() == own.content_hash()
        assert summarize_vocabulary(tmp_path / to).endswith("lower case, accents kept")
    written = json.loads((tmp_path / "huggingface" / "tokenizer_config.json").read_text())
    name = "keep_accents" if kind == "sentencepiece" else "strip_accents"
    assert written[name] is (kind == "sentencepiece")
    assert written["do_lower_case"] is True


def test_chinese_vocabularies_go_along(tmp_path: Path) -> None:
    checkpoint = pretrained(tokenizer=WordPieceTokenizer(PIECES, lower_case=False))
    for to, save in (("huggingface", save_huggingface), ("tf1", save_release)):
        save(checkpoint, tmp_path / to)
        back = read_checkpoint(tmp_path / to)
        assert (back.tokenizer.pieces, back.tokenizer.lower_case) == (PIECES, False)
    settings = json.loads((tmp_path / "huggingface" / "tokenizer_config.json").read_text())
    assert (settings["tokenizer_class"], settings["pad_token"]) == ("BertTokenizer", "[PAD]")
