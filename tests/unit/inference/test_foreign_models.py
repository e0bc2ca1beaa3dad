"""Models that were fine-tuned elsewhere answer as there: transformers' and the original's."""

from pathlib import Path

import numpy as np
import pytest
from conftest import SENTENCES

from albert_core.checkpoints import save_huggingface, save_release
from albert_core.errors import InputError
from albert_core.finetuning.batches import pad_inputs
from albert_core.finetuning.features import make_features
from albert_core.finetuning.prediction import predict_outputs
from albert_core.inference import load
from albert_core.tasks import Example
from albert_core.tokenization import SentencePieceTokenizer
from pipeline.serving.answers import make_answer_function
from pipeline.serving.config import ServingConfig
from pipeline.serving.schemas import describe_model, response_type
from tests.helpers.checkpoint_samples import classifier, multiple_choice
from tests.helpers.served_models import MODEL_CONFIG, TASKS_BY_NAME


def test_labels_that_do_not_exclude_each_other_have_probabilities_of_their_own(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    """As text-classification of transformers answers: a sigmoid of each output."""
    names = ("angry", "glad", "sad")
    problem_type = "multi_label_classification"
    checkpoint = classifier(
        3, MODEL_CONFIG, tokenizer=tokenizer, labels=names, problem_type=problem_type
    )
    save_huggingface(checkpoint, tmp_path)
    model = load(tmp_path)
    assert (model.signature.kind, model.signature.labels) == ("multi_label", names)
    found = model.predict(["Bread.", (SENTENCES[0], SENTENCES[1])])
    for one, text in zip(found, [("Bread.",), (SENTENCES[0], SENTENCES[1])], strict=True):
        features = make_features([Example(id="", texts=text, target=None)], tokenizer, 24)
        logits = predict_outputs(model.run, features, pad_inputs, max_length=24)["logits"][0]
        expected = dict(zip(names, 1 / (1 + np.exp(-logits)), strict=True))
        assert one.probabilities == pytest.approx(expected, abs=2e-6)
        assert set(one.labels) == {name for name in names if expected[name] > 0.5}
        assert list(one.labels) == sorted(one.labels, key=lambda name: -expected[name])
    one_output = classifier(1, MODEL_CONFIG, tokenizer=tokenizer, problem_type=problem_type)
    save_huggingface(one_output, tmp_path / "one")
    assert load(tmp_path / "one").predict(["Bread."])[0].probabilities.keys() == {"0"}


def test_a_classifier_of_the_original_answers_as_its_task(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    """What run_classifier leaves: variables alone, configuration and vocabulary elsewhere."""
    save_release(classifier(3, MODEL_CONFIG), tmp_path / "output")
    (tmp_path / "output" / "albert_config.json").rename(tmp_path / "config.json")
    tokenizer.save(tmp_path)
    task = TASKS_BY_NAME["topic"]
    model = load(tmp_path / "output", task=task, config=tmp_path / "config.json", vocab=tmp_path)
    assert (model.task, model.signature.labels) == (task, task.labels)
    assert "no names: taken for sea, farm, town" in model.notes[0]
    assert model.predict(["Bread."])[0].label in task.labels


def test_names_of_labels_are_those_of_transformers(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    names = ("entailment", "neutral", "contradiction")
    save_huggingface(classifier(3, MODEL_CONFIG, tokenizer=tokenizer, labels=names), tmp_path)
    model = load(tmp_path)
    assert (model.signature.kind, model.signature.labels) == ("classification", names)
    (found,) = model.predict([("Bread.", "Dogs.")])
    assert tuple(found.probabilities) == names
    assert found.label == max(found.probabilities, key=lambda name: found.probabilities[name])


def test_a_model_for_choices_chooses(tokenizer: SentencePieceTokenizer, tmp_path: Path) -> None:
    save_huggingface(multiple_choice(MODEL_CONFIG, tokenizer=tokenizer), tmp_path)
    model = load(tmp_path)
    assert model.signature.kind == "multiple_choice"
    assert len(model.predict([("Bread.", ["a", "b", "c"])])[0].probabilities) == 3


def test_responses_have_every_label_that_applies(
    tokenizer: SentencePieceTokenizer, tmp_path: Path
) -> None:
    problem_type = "multi_label_classification"
    checkpoint = classifier(
        3, MODEL_CONFIG, tokenizer=tokenizer, labels=("a", "b", "c"), problem_type=problem_type
    )
    save_huggingface(checkpoint, tmp_path)
    model = load(tmp_path)
    (answer,) = make_answer_function(model.predictor())([{"text": "Bread."}])
    (found,) = model.predict(["Bread."])
    said = response_type(model)(predictions=[answer]).model_dump()["predictions"][0]
    assert said["labels"] == list(found.labels)
    assert said["probabilities"] == {k: round(v, 6) for k, v in found.probabilities.items()}
    description = describe_model(model, ServingConfig())
    assert (description.kind, description.labels) == ("multi_label", ["a", "b", "c"])


def test_a_task_is_for_checkpoints_alone(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    with pytest.raises(InputError, match="expected none, since the export"):
        load(tmp_path, task=TASKS_BY_NAME["topic"])


@pytest.mark.parametrize("devices", [{"strategy": "mirrored"}, {"model_parallel_size": 2}])
def test_several_devices_are_for_checkpoints_alone(
    tmp_path: Path, devices: dict[str, object]
) -> None:
    (tmp_path / "model.onnx").touch()
    with pytest.raises(InputError, match=r"for the export .*, which runs as its runtime does"):
        load(tmp_path, **devices)
