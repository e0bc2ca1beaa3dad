"""SavedModels: the same numbers, the layout of the original's modules, read back, strings in."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from albert_core.checkpoints import (
    Checkpoint,
    convert,
    describe,
    detect,
    read_checkpoint,
    save_folder,
)
from albert_core.checkpoints.checkpoint import reference_function
from albert_core.errors import InputError
from albert_core.exports.saved_model import open_saved_model, write_saved_model
from albert_core.finetuning.config import FinetuningConfig, QuestionConfig
from albert_core.finetuning.features import make_features
from albert_core.finetuning.question_features import make_question_features
from albert_core.tasks import TASKS, Question
from albert_core.tokenization import SentencePieceTokenizer, WordPieceTokenizer
from tests.helpers.checkpoint_samples import (
    CONFIG,
    POOLED,
    SAMPLES,
    batch_of,
    classifier,
    names_in,
    pretrained,
    span,
)
from tests.helpers.export_samples import SINGLE
from tests.helpers.saved_models import assert_close, examples_of, in_python, served
from tests.helpers.tiny_tasks import TINY_TASKS

SETTINGS = FinetuningConfig(
    sequence_length=20,
    max_choice_length=6,
    questions=QuestionConfig(doc_stride=5, max_query_length=4),
)
FINETUNING = json.loads(json.dumps(dataclasses.asdict(SETTINGS)))
# The layers are of groups 0 and 1; no layer uses group 2.
SHALLOW = dataclasses.replace(CONFIG, num_hidden_layers=2, num_hidden_groups=3, inner_group_num=1)
KINDS = {**SAMPLES, "siamese": POOLED["siamese"]}
# The heads of the others read the same outputs, whose layers would be traced for every signature.
OF_LAYERS = ("pretrained", "regression")
TASK_OF = {
    "classification": "topic",
    "regression": "sea",
    "multiple_choice": "held",
    "span": "whale",
    "span_beam": "no-whale",
    "token_classifier": "roles",
}
LONG = "before the storm " * 9
TEXTS = ("The Harbour master", "counted 12,400 crates, twice!", "", LONG, "été Σ")
Saved = Callable[[str], tuple[Checkpoint, Path]]


@pytest.fixture(scope="module")
def saved(tokenizer: SentencePieceTokenizer, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """Makes the checkpoint and the SavedModel of a kind, once."""
    made: dict[str, tuple[Checkpoint, Path]] = {}

    def make(kind: str) -> tuple[Checkpoint, Path]:
        if kind not in made:
            more: dict[str, Any] = {}
            if kind in TASK_OF:
                task = json.loads(json.dumps(dataclasses.asdict(TINY_TASKS[TASK_OF[kind]])))
                more = {"task": task, "finetuning": FINETUNING}
            checkpoint = KINDS[kind](
                SHALLOW if kind in OF_LAYERS else SINGLE, tokenizer=tokenizer, **more
            )
            folder = tmp_path_factory.mktemp(kind)
            write_saved_model(checkpoint, folder)
            made[kind] = checkpoint, folder
        return made[kind]

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_computes_the_same_for_batches_of_any_length(kind: str, saved: Saved) -> None:
    checkpoint, folder = saved(kind)
    run, reference = open_saved_model(folder), reference_function(checkpoint)
    for seed, lengths in enumerate([(24, 9, 17), (6,), (5, 12)]):
        batch = batch_of(checkpoint, lengths, seed)
        found, expected = run(batch), reference(batch)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert found[name].dtype == value.dtype
            assert_close(found[name], value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_is_a_checkpoint(kind: str, saved: Saved, tmp_path: Path) -> None:
    checkpoint, folder = saved(kind)
    back = read_checkpoint(folder)
    assert back.content_hash() == checkpoint.content_hash()
    assert back.weights.keys() == checkpoint.weights.keys()
    assert (back.task, back.finetuning) == (checkpoint.task, checkpoint.finetuning)
    assert back.is_multiple_choice == checkpoint.is_multiple_choice
    assert (detect(folder), describe(folder).kind) == ("hub", "hub")
    assert set(describe(folder).model.heads) == checkpoint.heads
    assert set(convert(folder, tmp_path / "own", to="keras").differences.values()) == {0.0}
    stored = [key for key, _ in tf.train.list_variables(str(folder / "variables/variables"))]
    assert len([key for key in stored if "VARIABLE_VALUE" in key]) == len(checkpoint.weights)


def test_the_layout_is_that_of_the_originals_modules(saved: Saved) -> None:
    checkpoint, folder = saved("pretrained")
    vocabulary = {"30k-clean.model", "30k-clean.vocab", "tokenizer_settings.json"}
    assert names_in(folder / "assets") == {"albert_config.json", *vocabulary}
    module = tf.saved_model.load(str(folder))
    assert set(module.signatures) == {"tokens", "sop", "mlm", "tokenization_info", "ids"}
    batch = {name: tf.constant(array) for name, array in batch_of(checkpoint).items()}
    positions = batch.pop("masked_lm_positions")
    expected = reference_function(checkpoint)(batch_of(checkpoint))
    tokens = module.signatures["tokens"](**batch)
    assert tokens.keys() == {"sequence_output", "pooled_output"}
    order = module.signatures["sop"](**batch)
    words = module.signatures["mlm"](**batch, mlm_positions=positions)
    for outputs in (tokens, order, words):
        assert_close(outputs["sequence_output"], expected["sequence_output"])
        assert_close(outputs["pooled_output"], expected["pooled_output"])
    log_odds = expected["sentence_order_logits"]
    assert_close(order["sop_log_probs"], tf.nn.log_softmax(log_odds))
    assert_close(words["mlm_logits"], expected["masked_lm_logits"].reshape(-1, CONFIG.vocab_size))
    information = module.signatures["tokenization_info"]()
    assert information["do_lower_case"].numpy()
    file = Path(information["vocab_file"].numpy().decode())
    assert file.read_bytes() == checkpoint.tokenizer.model


def test_an_encoder_alone_has_no_other_signatures_and_no_vocabulary_if_there_is_none(
    tmp_path: Path,
) -> None:
    whole = pretrained()  # of several groups and blocks
    encoder = {name: a for name, a in whole.weights.items() if name.startswith("bert/")}
    write_saved_model(dataclasses.replace(whole, weights=encoder), tmp_path)
    assert set(tf.saved_model.load(str(tmp_path)).signatures) == {"tokens", "ids"}
    assert names_in(tmp_path / "assets") == {"albert_config.json", "head.json"}
    back = read_checkpoint(tmp_path)
    assert (back.weights.keys(), back.heads) == (encoder.keys(), frozenset())
    assert (back.tokenizer, back.task) == (None, None)


def test_strings_of_a_class(saved: Saved) -> None:
    checkpoint, folder = saved("classification")
    outputs = served(folder, text=TEXTS)
    features = make_features(examples_of(TEXTS), checkpoint.tokenizer, 20)
    expected = in_python(checkpoint, features)["logits"]
    assert_close(outputs["logits"], expected)
    assert_close(outputs["probabilities"].sum(-1), np.ones(len(TEXTS)))
    labels = TINY_TASKS["topic"].labels
    assert [x.decode() for x in outputs["label"]] == [labels[k] for k in expected.argmax(-1)]


def test_strings_of_labels_that_do_not_exclude_each_other(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    names = ("sad", "glad", "mad")
    problem_type = "multi_label_classification"
    checkpoint = classifier(3, SINGLE, tokenizer=tokenizer, labels=names, problem_type=problem_type)
    write_saved_model(checkpoint, tmp_path)
    outputs = served(tmp_path, text=TEXTS)
    assert_close(outputs["probabilities"], 1 / (1 + np.exp(-outputs["logits"])))
    assert outputs["labels"].tolist() == [[name.encode() for name in names]] * len(TEXTS)
    back = read_checkpoint(tmp_path)
    assert (back.labels, back.problem_type) == (names, problem_type)


def test_strings_of_a_score(saved: Saved) -> None:
    checkpoint, folder = saved("regression")
    pairs = [(a, b) for a in TEXTS for b in TEXTS]
    first, second = zip(*pairs, strict=True)
    features = make_features(examples_of(first, second), checkpoint.tokenizer, 20)
    expected = in_python(checkpoint, features)["logits"][:, 0]
    assert_close(served(folder, text=first, text_b=second)["scores"], expected)


def test_strings_of_texts_apart(saved: Saved) -> None:
    checkpoint, folder = saved("siamese")
    pairs = [(a, b) for a in TEXTS for b in TEXTS]
    first, second = zip(*pairs, strict=True)
    settings = {"sequence_length": CONFIG.max_position_embeddings}
    features = make_features(
        examples_of(first, second), checkpoint.tokenizer, **settings, are_apart=True
    )
    expected = in_python(checkpoint, features)["logits"]
    assert_close(served(folder, text=first, text_b=second)["logits"], expected)


def test_strings_of_choices(saved: Saved) -> None:
    checkpoint, folder = saved("multiple_choice")
    choices = [[*TEXTS[k:], *TEXTS[:k]][:3] for k in range(len(TEXTS))]
    outputs = served(folder, text=TEXTS, choices=choices)
    features = make_features(
        examples_of(TEXTS, *zip(*choices, strict=True)),
        checkpoint.tokenizer,
        20,
        max_choice_length=6,
    )
    assert_close(outputs["logits"], in_python(checkpoint, features)["logits"])
    assert outputs["probabilities"].shape == (5, 3)


def test_strings_of_race(tokenizer: SentencePieceTokenizer, tmp_path: Path) -> None:
    """The option fills the question's blank, or follows it, as when the files are read."""
    task = json.loads(json.dumps(dataclasses.asdict(TASKS["race"])))
    checkpoint = SAMPLES["multiple_choice"](
        SINGLE, tokenizer=tokenizer, task=task, finetuning=FINETUNING
    )
    write_saved_model(checkpoint, tmp_path)
    questions = ["Who _ the _ ?", "Who?", ""]
    options = [["paints", "sells"], ["the baker", "a dog"], ["x", ""]]
    filled = [
        [q.replace("_", o) if "_" in q else f"{q} {o}" for o in own]
        for q, own in zip(questions, options, strict=True)
    ]
    outputs = served(tmp_path, text=TEXTS[:3], question=questions, choices=options)
    features = make_features(
        examples_of(TEXTS[:3], *zip(*filled, strict=True)), tokenizer, 20, max_choice_length=6
    )
    assert_close(outputs["logits"], in_python(checkpoint, features)["logits"])


@pytest.mark.parametrize("kind", ["span", "span_beam"])
def test_strings_of_questions(kind: str, saved: Saved) -> None:
    """Every window over a context, and which characters its pieces stand for."""
    checkpoint, folder = saved(kind)
    contexts = [TEXTS[3] + TEXTS[1], TEXTS[1], TEXTS[0]]
    questions = [TEXTS[0], "", "Who counted all those many crates?"]
    outputs = served(folder, question=questions, context=contexts)
    made = make_question_features(
        [
            Question(id=str(k), question=question, context=context)
            for k, (question, context) in enumerate(zip(questions, contexts, strict=True))
        ],
        checkpoint.tokenizer,
        sequence_length=20,
        doc_stride=5,
        max_query_length=4,
        with_answers=False,
    )
    expected = in_python(checkpoint, made.features)
    for name, value in expected.items():
        assert_close(outputs[name], value)
    assert outputs["question_index"].tolist() == [window.question for window in made.windows]
    for row, window in enumerate(made.windows):
        is_context = np.zeros(outputs["input_ids"].shape[1], bool)
        is_context[window.offset : window.offset + window.length] = True
        assert np.array_equal(outputs["context_begins"][row] >= 0, is_context)
        assert np.array_equal(outputs["context_ends"][row] >= 0, is_context)
        context, last = contexts[window.question], window.offset + window.length - 1
        begin = outputs["context_begins"][row, window.offset]
        end = outputs["context_ends"][row, last]
        assert context[begin:end].strip() == window.answer(window.offset, last)[0]


def test_a_long_question_leaves_half_of_a_sequence_to_the_context(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    """As in `albert_core.inference`, although `max_query_length` is more than the model reads."""
    checkpoint = span(SINGLE, tokenizer=tokenizer, finetuning={"sequence_length": 20})
    write_saved_model(checkpoint, tmp_path)
    outputs = served(tmp_path, question=[LONG], context=[TEXTS[1]])
    made = make_question_features(
        [Question(id="0", question=LONG, context=TEXTS[1])],
        tokenizer,
        sequence_length=20,
        doc_stride=QuestionConfig().doc_stride,
        max_query_length=10,
        with_answers=False,
    )
    expected = in_python(checkpoint, made.features)
    np.testing.assert_array_equal(outputs["input_ids"], expected["input_ids"])
    assert_close(outputs["start_logits"], expected["start_logits"])


def test_strings_of_a_chinese_model(tmp_path: Path) -> None:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"中国的，。ab", "##a", "##b"]
    own = WordPieceTokenizer([*pieces, *(f"[unused{k}]" for k in range(106))], lower_case=True)
    checkpoint = classifier(3, SINGLE, tokenizer=own, finetuning=FINETUNING)
    write_saved_model(checkpoint, tmp_path)
    texts = ["中国的，AB。", "", "国 ab x" * 9]
    features = make_features(examples_of(texts), own, 20)
    outputs = served(tmp_path, text=texts)
    assert_close(outputs["logits"], in_python(checkpoint, features)["logits"])
    assert outputs.keys() == {"logits", "probabilities"}
    assert read_checkpoint(tmp_path).tokenizer.pieces == own.pieces


def test_settings_longer_than_the_model_reads_are_refused(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    checkpoint = classifier(3, tokenizer=tokenizer, finetuning={"sequence_length": 64})
    with pytest.raises(InputError, match="max_position_embeddings=24"):
        write_saved_model(checkpoint, tmp_path)


def test_settings_come_from_the_folder_of_fine_tuning(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    save_folder(classifier(3, tokenizer=tokenizer), tmp_path)
    assert read_checkpoint(tmp_path).finetuning is None
    (tmp_path / "finetuning.json").write_text(json.dumps({"sequence_length": 11}))
    assert read_checkpoint(tmp_path).finetuning == {"sequence_length": 11}


BLOCKED = """
import importlib.abc, importlib.machinery, json, sys

class Blocker(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[2].split():
            return importlib.machinery.ModuleSpec(name, self, origin=f"/nowhere/{name}.py")

    def exec_module(self, module):
        raise ImportError(f"{module.__name__} is blocked")

sys.meta_path.insert(0, Blocker())
import tensorflow as tf
"""


ON_IDS = """
signature = tf.saved_model.load(sys.argv[1]).signatures["ids"]
inputs = {name: tf.constant(value) for name, value in json.loads(sys.argv[3]).items()}
print(signature(**inputs)["masked_lm_logits"].numpy().tolist())
"""
ON_STRINGS = """
import tensorflow_text
signature = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
print(signature(text=tf.constant([json.loads(sys.argv[3])]))["logits"].numpy().tolist())
"""
OURS = "albert_core components pipeline"


def run_without(modules: str, code: str, folder: Path, argument: Any) -> np.ndarray:
    """Return what code prints in a process that cannot import some modules."""
    command = [sys.executable, "-c", BLOCKED + code, str(folder), modules, json.dumps(argument)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return np.array(json.loads(result.stdout))


def test_a_saved_model_runs_where_neither_this_program_nor_keras_is(saved: Saved) -> None:
    checkpoint, folder = saved("pretrained")
    batch = batch_of(checkpoint)
    lists = {name: array.tolist() for name, array in batch.items()}
    found = run_without(f"{OURS} keras", ON_IDS, folder, lists)
    assert_close(found, reference_function(checkpoint)(batch)["masked_lm_logits"])


def test_strings_need_tensorflow_text_but_not_this_program(saved: Saved) -> None:
    checkpoint, folder = saved("classification")
    text = "Her brother repaired 1,000 clocks."
    features = make_features(examples_of([text]), checkpoint.tokenizer, 20)
    found = run_without(OURS, ON_STRINGS, folder, text)
    assert_close(found, in_python(checkpoint, features)["logits"])
