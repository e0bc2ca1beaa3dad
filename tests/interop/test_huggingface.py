"""Our models in transformers, and theirs in ours: the same outputs, and no parameter left over.

Runs in the environment of `make test-interop`, with Keras on JAX; skipped where transformers or
PyTorch are missing.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, softmax

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-interop")
transformers = pytest.importorskip("transformers", reason="needs transformers: make test-interop")

from albert_core.checkpoints import (  # noqa: E402
    Checkpoint,
    build_model,
    convert,
    read_huggingface,
    save_folder,
    save_huggingface,
)
from albert_core.checkpoints.proof import random_batch  # noqa: E402
from albert_core.errors import InputError  # noqa: E402
from albert_core.model import (  # noqa: E402
    AlbertForMultipleChoice,
    AlbertForPreTraining,
    AlbertForQuestionAnswering,
    AlbertForSequenceClassification,
    AlbertForTokenClassification,
)
from albert_core.tokenization import SentencePieceTokenizer, WordPieceTokenizer  # noqa: E402
from albert_core.tokenization.masked import encode_masked  # noqa: E402
from tests.helpers.checkpoint_samples import CONFIG, of_model  # noqa: E402

EQUAL_WIDTHS = dataclasses.replace(CONFIG, embedding_size=CONFIG.hidden_size)
# The layers are of groups 0, 1 and 3; no layer uses groups 2 and 4.
UNEVEN = dataclasses.replace(CONFIG, num_hidden_layers=3, num_hidden_groups=5)
CONFIGS = {"factorised": CONFIG, "equal_widths": EQUAL_WIDTHS, "uneven": UNEVEN}
TOLERANCE = 1e-4

Outputs = dict[str, np.ndarray]


def their_outputs(model: Any) -> Outputs:
    """Return what a model of transformers computes for our batch, by its own names."""
    batch = random_batch(CONFIG)
    inputs = {
        "input_ids": batch["input_ids"],
        "attention_mask": batch["input_mask"],
        "token_type_ids": batch["segment_ids"],
    }
    if isinstance(model, transformers.AlbertForMultipleChoice):
        inputs = {name: array[None] for name, array in inputs.items()}
    tensors = {name: torch.from_numpy(array).long() for name, array in inputs.items()}
    with torch.no_grad():
        outputs = model.eval()(**tensors, output_hidden_states=True)
    arrays = {name: value.numpy() for name, value in outputs.items() if torch.is_tensor(value)}
    layers = outputs.hidden_states[1:]  # the first is the embeddings'
    return {**arrays, "layers": np.stack([layer.numpy() for layer in layers])}


def our_outputs(checkpoint: Checkpoint) -> Outputs:
    """Return what our model computes for the batch, under transformers' names."""
    model, batch = build_model(checkpoint), random_batch(CONFIG)
    inputs = {name: batch[name] for name in ("input_ids", "input_mask", "segment_ids")}
    encoded = model.bert(**inputs, return_all_layers=True, training=False)
    every_position = np.tile(np.arange(batch["input_ids"].shape[1]), (len(batch["input_ids"]), 1))
    if checkpoint.is_multiple_choice:
        inputs = {name: array[None] for name, array in inputs.items()}
    inputs["masked_lm_positions"] = every_position.astype(np.int32)
    logits = model(inputs, training=False)
    logits = dict(logits) if isinstance(logits, dict) else {"logits": logits}
    outputs = {
        **logits,
        "layers": np.stack([np.asarray(layer) for layer in encoded["all_layer_outputs"]]),
        "last_hidden_state": encoded["sequence_output"],
        "pooler_output": encoded["pooled_output"],
    }
    names = {"masked_lm_logits": "prediction_logits", "sentence_order_logits": "sop_logits"}
    return {names.get(name, name): np.asarray(value) for name, value in outputs.items()}


def assert_same_outputs(theirs: Outputs, ours: Outputs) -> None:
    for name, array in theirs.items():
        np.testing.assert_allclose(ours[name], array, rtol=0, atol=TOLERANCE, err_msg=name)


def load_strictly(architecture: str, folder: Path) -> Any:
    """Load a folder in transformers, which must find all it needs there and nothing else."""
    cls = getattr(transformers, architecture)
    model, report = cls.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values()), report
    return model


def encoder_alone(config: Any) -> Checkpoint:
    whole = of_model(AlbertForPreTraining(config))
    encoder = {name: a for name, a in whole.weights.items() if name.startswith("bert/")}
    return dataclasses.replace(whole, weights=encoder)


OURS = {
    "AlbertModel": encoder_alone,
    "AlbertForPreTraining": lambda config: of_model(AlbertForPreTraining(config)),
    "AlbertForSequenceClassification": lambda config: of_model(
        AlbertForSequenceClassification(config, num_labels=3)
    ),
    "AlbertForMultipleChoice": lambda config: of_model(
        AlbertForMultipleChoice(config), is_multiple_choice=True
    ),
    "AlbertForQuestionAnswering": lambda config: of_model(AlbertForQuestionAnswering(config)),
    "AlbertForTokenClassification": lambda config: of_model(
        AlbertForTokenClassification(config, num_labels=5)
    ),
}


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("architecture", OURS)
def test_our_models_compute_the_same_there(architecture: str, config: str, tmp_path: Path) -> None:
    checkpoint = OURS[architecture](CONFIGS[config])
    save_huggingface(checkpoint, tmp_path)
    theirs = their_outputs(load_strictly(architecture, tmp_path))
    expected = {"layers", *their_outputs_besides_layers(architecture)}
    assert theirs.keys() == expected
    assert_same_outputs(theirs, our_outputs(checkpoint))
    automatic = transformers.AutoConfig.from_pretrained(tmp_path)
    assert automatic.architectures == [architecture]


def their_outputs_besides_layers(architecture: str) -> tuple[str, ...]:
    return {
        "AlbertModel": ("last_hidden_state", "pooler_output"),
        "AlbertForPreTraining": ("prediction_logits", "sop_logits"),
        "AlbertForQuestionAnswering": ("start_logits", "end_logits"),
    }.get(architecture, ("logits",))


@pytest.mark.parametrize("architecture", [*OURS, "AlbertForMaskedLM"])
def test_their_models_compute_the_same_here(architecture: str, tmp_path: Path) -> None:
    model = their_model(architecture, CONFIG.embedding_size)
    model.save_pretrained(tmp_path / "theirs")
    convert(tmp_path / "theirs", tmp_path / "ours", to="keras")
    checkpoint = read_huggingface(tmp_path / "theirs")
    assert checkpoint.config == dataclasses.replace(CONFIG, initializer_range=0.02)
    ours = our_outputs(checkpoint)
    if architecture == "AlbertForMaskedLM":
        ours["logits"] = ours["prediction_logits"]
    assert_same_outputs(their_outputs(model), ours)


def test_a_projection_of_theirs_that_ours_lack_is_refused(tmp_path: Path) -> None:
    their_model("AlbertModel", CONFIG.hidden_size).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="is not the identity"):
        read_huggingface(tmp_path)


def their_model(architecture: str, embedding_size: int, **settings: Any) -> Any:
    """Return a model of transformers with random weights, all far from zero."""
    torch.manual_seed(1)
    names = (
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_hidden_groups",
        "inner_group_num",
        "num_attention_heads",
        "intermediate_size",
        "max_position_embeddings",
    )
    sizes = {name: getattr(CONFIG, name) for name in names}
    config = transformers.AlbertConfig(**sizes, embedding_size=embedding_size, **settings)
    model = getattr(transformers, architecture)(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def test_their_labels_are_ours(tmp_path: Path) -> None:
    task = {"name": "moods", "labels": ["sad", "glad", "mad"]}
    model = AlbertForSequenceClassification(CONFIG, num_labels=3)
    save_huggingface(of_model(model, task=task), tmp_path)
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    assert config.id2label == {0: "sad", 1: "glad", 2: "mad"}


def run_on(folder: Path, text: str, output: str) -> np.ndarray:
    """Return what the model in a folder computes for a text, read and encoded by us."""
    checkpoint = read_huggingface(folder)
    special = checkpoint.tokenizer.special_ids
    ids = [special.cls, *encode_masked(checkpoint.tokenizer, text), special.sep]
    inputs = {"input_ids": np.array([ids], np.int32)}
    inputs |= {"input_mask": np.ones_like(inputs["input_ids"])}
    inputs |= {"segment_ids": np.zeros_like(inputs["input_ids"])}
    inputs["masked_lm_positions"] = np.flatnonzero(inputs["input_ids"] == special.mask)[None]
    outputs = build_model(checkpoint)(inputs, training=False)
    outputs = outputs if isinstance(outputs, dict) else {"logits": outputs}
    return np.asarray(outputs[output])[0]


@pytest.mark.parametrize("problem_type", ["multi_label_classification", None])
def test_their_labels_have_our_probabilities(
    problem_type: Any, tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    """Written there, answered there and here, and again after a way through our formats."""
    model = their_model("AlbertForSequenceClassification", CONFIG.embedding_size, num_labels=3)
    names = {0: "entailment", 1: "neutral", 2: "contradiction"}
    model.config.id2label, model.config.problem_type = names, problem_type
    model.config.label2id = {name: index for index, name in names.items()}
    save_huggingface(of_model(AlbertForPreTraining(CONFIG), tokenizer=tokenizer), tmp_path / "a")
    (tmp_path / "a" / "model.safetensors").unlink()
    model.save_pretrained(tmp_path / "a")
    convert(tmp_path / "a", tmp_path / "b", to="keras")
    convert(tmp_path / "b", tmp_path / "c", to="huggingface")
    for folder in (tmp_path / "a", tmp_path / "c"):
        checkpoint = read_huggingface(folder)
        assert checkpoint.labels == tuple(names.values())
        ask = transformers.pipeline("text-classification", str(folder), top_k=None)
        for text in ("The storm reached the islands.", "warm bread"):
            logits = run_on(folder, text, "logits")
            shares = expit(logits) if checkpoint.is_multi_label else softmax(logits)
            theirs = {one["label"]: one["score"] for one in ask([text])[0]}
            ours = dict(zip(checkpoint.labels, shares.tolist(), strict=True))
            assert theirs == pytest.approx(ours, abs=TOLERANCE)


def test_masks_are_filled_with_the_same_words(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    save_huggingface(of_model(AlbertForPreTraining(CONFIG), tokenizer=tokenizer), tmp_path)
    ask = transformers.pipeline("fill-mask", str(tmp_path), top_k=3)
    for text in (
        *("text [MASK]. more", "[MASK]. more", "a [MASK] b", "un[MASK]able", "[MASK]", "a [MASK]"),
        *("(see [MASK])", "[MASK], and", "the 1,[MASK],000", "Москва [MASK]!", "北京[MASK]。"),
    ):
        shares = softmax(run_on(tmp_path, text, "masked_lm_logits")[0])
        best = np.argsort(-shares)[:3]
        theirs = ask(text)
        assert [one["token"] for one in theirs] == best.tolist(), text
        assert [one["score"] for one in theirs] == pytest.approx(shares[best], abs=TOLERANCE)


def test_a_whole_folder_reads_and_predicts_there(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    """Text to logits through AutoTokenizer and AutoModel, against the same through ours."""
    checkpoint = of_model(AlbertForPreTraining(CONFIG), tokenizer=tokenizer)
    save_folder(checkpoint, tmp_path / "ours")
    convert(tmp_path / "ours", tmp_path / "theirs", to="huggingface")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "theirs")
    first, second = "The storm (of 1897) reached", "warm bread - at dawn; 12,400 crates."
    encoded = theirs(first, second, return_tensors="np")
    a, b = tokenizer.encode_batch([first, second])
    ids = tokenizer.special_ids
    assert encoded["input_ids"][0].tolist() == [ids.cls, *a, ids.sep, *b, ids.sep]
    assert encoded["token_type_ids"][0].tolist() == [0] * (len(a) + 2) + [1] * (len(b) + 1)
    special = (theirs.pad_token_id, theirs.unk_token_id, theirs.mask_token_id)
    assert special == (ids.pad, ids.unknown, ids.mask)


def test_wordpiece_vocabularies_read_there(tmp_path: Path) -> None:
    pieces = ["[PAD]", "好", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "天", "气", "a", "##b", "."]
    tokenizer = WordPieceTokenizer(pieces, lower_case=True)
    config = dataclasses.replace(CONFIG, vocab_size=len(pieces))
    save_huggingface(of_model(AlbertForPreTraining(config), tokenizer=tokenizer), tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    text = "天气好 AB. 坏"
    assert theirs(text)["input_ids"] == [3, *tokenizer.encode(text), 4]
    values = json.loads((tmp_path / "config.json").read_text())
    assert [values[f"{role}_token_id"] for role in ("pad", "bos", "eos")] == [0, 3, 4]
