"""Checkpoints of all kinds: converted with a proof, told apart, described."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from albert_core.artifacts.manifest import Manifest, describe_files
from albert_core.checkpoints import (
    Checkpoint,
    CheckpointFormat,
    build_model,
    convert,
    describe,
    detect,
    read_checkpoint,
    read_huggingface,
    save_folder,
    save_huggingface,
    save_release,
    write_tf1_checkpoint,
)
from albert_core.checkpoints import conversion as conversion_module
from albert_core.errors import InputError, StepFailedError
from albert_core.model import (
    AlbertForPreTraining,
    AlbertForQuestionAnswering,
    AlbertForQuestionAnsweringWithBeam,
)
from albert_core.optimizers.factory import make_optimizer
from albert_core.optimizers.settings import OptimizerName
from albert_core.pooling import POOLINGS
from albert_core.presets import preset
from albert_core.tokenization import SentencePieceTokenizer
from albert_core.training.checkpoint import save_checkpoint
from albert_core.training.state import TrainingState
from pipeline.cli.main import main
from tests.helpers.checkpoint_samples import (
    CONFIG,
    KERNEL,
    POOLED,
    classifier,
    edit_json,
    names_in,
    of_model,
    pretrained,
)
from tests.helpers.power_cuts import contents

# Two groups of one block, which is half the work of `CONFIG`.
SHALLOW = dataclasses.replace(CONFIG, inner_group_num=1)
TASK = {"name": "moods", "labels": ["sad", "glad", "mad"]}


@pytest.fixture
def sample(tokenizer: SentencePieceTokenizer) -> Checkpoint:
    return pretrained(SHALLOW, tokenizer=tokenizer)


@pytest.fixture
def tf1(sample: Checkpoint, tmp_path: Path) -> Path:
    save_release(sample, tmp_path / "release")
    return tmp_path / "release"


@pytest.fixture
def own(sample: Checkpoint, tmp_path: Path) -> Path:
    save_folder(sample, tmp_path / "own")
    return tmp_path / "own"


@pytest.fixture
def huggingface(sample: Checkpoint, tmp_path: Path) -> Path:
    save_huggingface(sample, tmp_path / "huggingface")
    return tmp_path / "huggingface"


def test_vocabulary_and_task_go_through_every_kind(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    checkpoint = classifier(3, tokenizer=tokenizer, task=TASK)
    save_folder(checkpoint, tmp_path / "keras")
    (tmp_path / "keras" / "task.json").write_text(json.dumps(TASK))
    source = tmp_path / "keras"
    for to in ("huggingface", "tf1"):
        conversion = convert(source, tmp_path / to, to=to)
        assert conversion.heads == ("classifier",)
        assert conversion.differences.keys() == {"sequence_output", "pooled_output", "logits"}
        assert conversion.notes == ()
        source = tmp_path / to
        back = read_checkpoint(source)
        assert back.task == TASK
        assert back.tokenizer.model == tokenizer.model
        assert back.tokenizer.lower_case == tokenizer.lower_case


@pytest.mark.parametrize(
    ("head", "targets", "logits"),
    [
        (AlbertForQuestionAnswering, ("tf1", "huggingface"), {"start_logits", "end_logits"}),
        (
            AlbertForQuestionAnsweringWithBeam,
            ("tf1", "keras"),
            {"start_logits", "end_logits", "cls_logits"},
        ),
    ],
)
def test_heads_that_find_answers_go_along(
    head: type, targets: tuple[CheckpointFormat, ...], logits: set[str], tmp_path: Path
) -> None:
    source = tmp_path / "own"
    save_folder(of_model(head(SHALLOW)), source)
    for to in targets:
        conversion = convert(source, tmp_path / to, to=to)
        pooled = [] if to == "huggingface" else ["pooled_output"]
        assert conversion.differences.keys() == {"sequence_output", *pooled, *logits}
        assert set(conversion.differences.values()) == {0.0}
        source = tmp_path / to


@pytest.mark.parametrize("pooling", POOLED)
def test_heads_of_another_pooling_are_known_by_their_variables(
    pooling: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = POOLED[pooling]()
    save_folder(checkpoint, tmp_path / "own")
    assert names_in(tmp_path / "own") == {"albert_config.json", "model.safetensors"}
    conversion = convert(tmp_path / "own", tmp_path / "again", to="keras")
    assert conversion.differences["logits"] == 0.0
    assert conversion.heads == ("classifier",)
    back = read_checkpoint(tmp_path / "again")
    assert (back.pooling, back.num_labels) == (pooling, 3)
    assert json.loads((tmp_path / "again/head.json").read_text())["pooling"] == pooling
    assert describe(tmp_path / "own").model.pooling == pooling
    assert main(["info", str(tmp_path / "own")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert ["head", "reads", *POOLINGS[pooling].title.split()] in [line.split() for line in lines]


def test_the_optimizer_is_left_out_and_said_so(
    sample: Checkpoint, tf1: Path, tmp_path: Path
) -> None:
    weights = sample.weights
    slots = {f"{name}/adam_m": array for name, array in weights.items()}
    write_tf1_checkpoint(tf1 / "model.ckpt-best", {**weights, **slots, "global_step": 1200})
    conversion = convert(tf1, tmp_path / "out", to="keras")
    note = f"left out global_step 1,200 and {len(slots)} slots of the optimizer"
    assert conversion.notes == (note,)


def test_a_vocabulary_of_another_size_is_refused(tf1: Path, tmp_path: Path) -> None:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcde"]
    (tmp_path / "vocab.txt").write_text("\n".join(pieces) + "\n")
    with pytest.raises(InputError, match="got 10 tokens, expected the model's vocab_size=120"):
        convert(tf1, tmp_path / "out", to="keras", vocab=tmp_path / "vocab.txt")
    assert names_in(tmp_path) == {"release", "vocab.txt"}


@pytest.mark.parametrize("name", ["lower_case", "strip_accents"])
def test_case_and_accents_are_settings_of_the_vocabulary(
    name: str, tf1: Path, tmp_path: Path
) -> None:
    (tf1 / "tokenizer_settings.json").unlink()
    assert getattr(read_checkpoint(tf1).tokenizer, name)
    assert not getattr(read_checkpoint(tf1, **{name: False}).tokenizer, name)
    (tf1 / "30k-clean.model").unlink()
    with pytest.raises(InputError, match=rf"{name}: got False, but .* holds no vocabulary"):
        read_checkpoint(tf1, **{name: False})
    assert "no vocabulary beside" in convert(tf1, tmp_path / "out", to="keras").notes[0]


def test_a_checkpoint_without_configuration_needs_one(tf1: Path, tmp_path: Path) -> None:
    config = tmp_path / "elsewhere.json"
    (tf1 / "albert_config.json").rename(config)
    with pytest.raises(
        InputError, match=r"give the model's albert_config\.json with --albert_config"
    ):
        convert(tf1, tmp_path / "out", to="keras")
    convert(tf1, tmp_path / "out", to="keras", config=config)
    assert read_checkpoint(tmp_path / "out").config == SHALLOW
    with pytest.raises(InputError, match=r"expected none, since .* has its own"):
        convert(tmp_path / "out", tmp_path / "again", to="tf1", config=config)


def test_a_configuration_that_does_not_fit_is_refused(tf1: Path, tmp_path: Path) -> None:
    edit_json(tf1 / "albert_config.json", num_hidden_groups=4)
    with pytest.raises(InputError, match="missing bert/encoder/transformer/group_2/"):
        convert(tf1, tmp_path / "out", to="keras")
    assert names_in(tmp_path) == {"release"}


def test_a_destination_that_holds_something_is_refused(tf1: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").touch()
    with pytest.raises(InputError, match="exists; choose a new or empty folder"):
        convert(tf1, tmp_path / "out", to="keras")
    assert names_in(tmp_path / "out") == {"thesis.tex"}


@pytest.mark.parametrize("to", ["tf1", "huggingface", "keras"])
def test_a_conversion_that_is_there_already_is_done(
    to: CheckpointFormat, own: Path, tmp_path: Path
) -> None:
    convert(own, tmp_path / "out", to=to)
    expected = contents(tmp_path / "out")
    (tmp_path / ".out.partial/half").mkdir(parents=True)  # of a process that was killed
    convert(own, tmp_path / "out", to=to)
    assert contents(tmp_path / "out") == expected
    assert not (tmp_path / ".out.partial").exists()


def test_a_destination_with_another_checkpoint_is_refused(own: Path, tmp_path: Path) -> None:
    shutil.copytree(own, tmp_path / "out")
    (tmp_path / "out/notes.txt").write_text("mine")
    expected = contents(tmp_path / "out")
    with pytest.raises(InputError, match="exists; choose a new or empty folder"):
        convert(own, tmp_path / "out", to="keras")
    assert contents(tmp_path / "out") == expected
    assert not (tmp_path / ".out.partial").exists()


def test_a_destination_that_cannot_be_renamed_is_filled(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert(own, tmp_path / "expected", to="huggingface")
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(conversion_module, "is_replaceable", lambda _: False)
    for _ in range(2):  # a finished one is left as it is
        convert(own, tmp_path / "out", to="huggingface")
        assert contents(tmp_path / "out") == contents(tmp_path / "expected")


def test_an_unknown_target_is_refused(tf1: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="to: got 'onnx', expected one of tf1, huggingface, keras"):
        convert(tf1, tmp_path / "out", to="onnx")


def test_a_conversion_that_changes_the_model_is_not_published(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save_with_a_mistake(checkpoint: Checkpoint, folder: Path) -> tuple[str, ...]:
        changed = {**checkpoint.weights, KERNEL: checkpoint.weights[KERNEL].T}
        return save_folder(dataclasses.replace(checkpoint, weights=changed), folder)

    writers = {"keras": save_with_a_mistake}
    monkeypatch.setattr("albert_core.checkpoints.conversion._WRITERS", writers)
    with pytest.raises(StepFailedError, match=r"outputs changed .*pooled_output by"):
        convert(own, tmp_path / "out", to="keras")
    assert names_in(tmp_path) == {"own"}


def test_a_pretraining_head_alone_is_kept(sample: Checkpoint, tmp_path: Path) -> None:
    """Released folders of Hugging Face have no sentence-order head."""
    masked_lm = {
        name: a for name, a in sample.weights.items() if not name.startswith("cls/seq_relationship")
    }
    save_folder(dataclasses.replace(sample, weights=masked_lm), tmp_path / "own")
    conversion = convert(tmp_path / "own", tmp_path / "out", to="huggingface")
    assert conversion.heads == ("masked_lm",)
    assert "masked_lm_logits" in conversion.differences
    assert "sentence_order_logits" not in conversion.differences
    assert read_huggingface(tmp_path / "out").weights.keys() == masked_lm.keys()


def test_a_head_that_is_only_half_there_is_refused(sample: Checkpoint) -> None:
    weights = {n: a for n, a in sample.weights.items() if n != "cls/predictions/output_bias"}
    with pytest.raises(InputError, match="missing cls/predictions/output_bias"):
        build_model(dataclasses.replace(sample, weights=weights))


def test_kinds_are_told_apart(tf1: Path, own: Path, huggingface: Path) -> None:
    assert detect(tf1) == detect(tf1 / "model.ckpt-best") == "tf1"
    assert (detect(own), detect(huggingface)) == ("keras", "huggingface")


@pytest.mark.parametrize(("make", "reason"), [(False, "no folder"), (True, "not a folder this")])
def test_anything_else_is_refused(make: bool, reason: str, tmp_path: Path) -> None:
    if make:
        (tmp_path / "holiday").mkdir()
    with pytest.raises(InputError, match=reason):
        detect(tmp_path / "holiday")


def test_a_model_is_described_alike_in_every_kind(tf1: Path, own: Path, huggingface: Path) -> None:
    first, *others = (describe(path) for path in (own, huggingface, tf1))
    assert first.model.config == SHALLOW
    assert first.model.num_parameters == sum(
        weight.size for weight in read_checkpoint(own).weights.values()
    )
    assert first.model.heads == ("masked_lm", "sentence_order")
    assert first.vocabulary == "SentencePiece, 120 tokens, lower case"
    for other in others:
        assert dataclasses.replace(other.model, global_step=None) == first.model
        assert other.vocabulary == first.vocabulary


def test_a_preset_is_recognised(tmp_path: Path) -> None:
    save_folder(pretrained(preset("tiny", vocab_size=30, initializer_range=0.1)), tmp_path)
    assert describe(tmp_path).model.size == "tiny"


@pytest.mark.parametrize(("optimizer", "settings"), [("lamb", {}), ("muon", {"ema_decay": 0.9})])
def test_a_training_is_described(
    tmp_path: Path, optimizer: OptimizerName, settings: dict[str, Any]
) -> None:
    model = AlbertForPreTraining(SHALLOW)
    model.compile(
        make_optimizer(
            optimizer, learning_rate=0.1, num_train_steps=2, num_warmup_steps=0, **settings
        )
    )
    model.optimizer.build(model.trainable_variables)
    save_checkpoint(tmp_path, model, TrainingState(step=40), keep=1)
    description = describe(tmp_path / "checkpoint-000000040")
    assert description.kind == "training"
    assert description.model.global_step == 40
    assert description.model.num_variables == len(model.weights)
    assert description.model.num_parameters == model.count_params()
    # All that the optimizer keeps, but for the step and the factor of the rate.
    assert description.model.num_slots == len(model.optimizer.state_by_name()) - 2
    with pytest.raises(InputError, match="holds no finished model"):
        read_checkpoint(tmp_path / "checkpoint-000000040")


def test_results_of_a_step_are_described_by_their_manifest(own: Path, tmp_path: Path) -> None:
    records = tmp_path / "records"
    records.mkdir()
    (records / "train-00000-of-00001.tfrecord").write_bytes(b"12345")
    for folder, step in ((records, "records"), (own, "pretrain")):
        Manifest(
            step=step,
            fingerprint="",
            code_version="",
            config={"seed": 1},
            inputs={},
            files=describe_files(folder),
            metrics={"loss": 2.5},
            seconds=1.0,
        ).write(folder)
    description = describe(records)
    assert (description.kind, description.model) == ("artifact", None)
    assert description.manifest.metrics == {"loss": 2.5}
    assert description.files["train-00000-of-00001.tfrecord"] == 5
    assert (describe(own).kind, describe(own).manifest.step) == ("keras", "pretrain")


def test_a_damaged_vocabulary_does_not_hide_the_rest(own: Path) -> None:
    (own / "spiece.model").write_bytes(b"nothing")
    description = describe(own)
    assert description.vocabulary.startswith("unusable: ")
    assert description.model.num_variables
    shutil.copy(own / "albert_config.json", own / "model.safetensors")
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        describe(own)


def test_modules_of_tf_hub_are_read(sample: Checkpoint, tmp_path: Path) -> None:
    """As the original exports them: variables below `module/`, all else among the assets."""
    save_release(sample, tmp_path / "module/assets")
    (tmp_path / "module/variables").mkdir()
    (tmp_path / "module/saved_model.pb").write_bytes(b"not looked at")
    scoped = {f"module/{name}": array for name, array in sample.weights.items()}
    write_tf1_checkpoint(tmp_path / "module/variables/variables", scoped)
    for file in (tmp_path / "module/assets").glob("model.ckpt*"):
        file.unlink()
    assert detect(tmp_path / "module") == "hub"
    description = describe(tmp_path / "module")
    assert description.model
    assert "120" in description.vocabulary
    checkpoint = read_checkpoint(tmp_path / "module")
    assert checkpoint.weights.keys() == sample.weights.keys()
    assert checkpoint.config == sample.config
    assert checkpoint.content_hash() == sample.content_hash()
    elsewhere = tmp_path / "albert_config.json"
    (tmp_path / "module/assets/albert_config.json").rename(elsewhere)
    with pytest.raises(InputError, match="with --albert_config, or put it there"):
        read_checkpoint(tmp_path / "module")
    named = read_checkpoint(tmp_path / "module", config=elsewhere)
    assert named.content_hash() == sample.content_hash()
