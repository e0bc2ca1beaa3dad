"""The same predictions from Python, from the command, from the server and from each export."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import SENTENCES

import albert_core
from albert_core.exports.formats import FORMATS, ExportFormat
from pipeline.cli.main import main
from pipeline.serving.app import make_app
from pipeline.serving.config import ServingConfig
from tests.helpers.served import in_a_thread
from tests.helpers.served_models import Export, SaveModel

# Keras, writing an archive, calls numpy in a way that it announces to change.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

NUM_TEXTS = 50
ROUNDED = 5e-7  # responses of the server have 6 decimals


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Texts of all lengths, some longer than the model reads."""
    words = " ".join(SENTENCES).split()
    return [" ".join(words[n : n + 1 + n % 23]) for n in range(NUM_TEXTS)]


@pytest.fixture(scope="module")
def model(save_model: SaveModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model("topic", tmp_path_factory.mktemp("run") / "models" / "topic")


@pytest.fixture(scope="module")
def shares(model: Path, texts: list[str]) -> list[Mapping[str, float]]:
    """The probabilities in Python, from the model's folder."""
    return [one.probabilities for one in albert_core.load(model).predict(texts)]


def largest_difference(
    shares: list[Mapping[str, float]], others: list[Mapping[str, float]]
) -> float:
    assert len(shares) == len(others) == NUM_TEXTS
    return max(
        abs(share[label] - other[label])
        for share, other in zip(shares, others, strict=True)
        for label in share
    )


def command(model: Path, texts: list[str], folder: Path) -> list[dict[str, Any]]:
    """Predict with `albert predict` for the texts as a file."""
    rows = [json.dumps({"text": text}) + "\n" for text in texts]
    (folder / "texts.jsonl").write_text("".join(rows), encoding="utf-8")
    output = folder / "out.jsonl"
    arguments = ["predict", str(model), str(folder / "texts.jsonl"), "--output", str(output)]
    assert main(arguments) == 0
    return [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]


def test_the_command_says_what_python_says(
    model: Path, texts: list[str], shares: list, tmp_path: Path
) -> None:
    rows = command(model, texts, tmp_path)
    assert largest_difference(shares, [row["probabilities"] for row in rows]) == 0.0


def test_the_server_says_what_python_says(model: Path, texts: list[str], shares: list) -> None:
    answers: list[Mapping[str, float]] = []
    with in_a_thread(make_app(albert_core.load(model), ServingConfig())) as client:
        for start in range(0, NUM_TEXTS, 10):
            examples = [{"text": text} for text in texts[start : start + 10]]
            answer = client.post("/predict", {"examples": examples})
            answers += [one["probabilities"] for one in answer.body["predictions"]]
    # Batches of other lengths: the last bits of float32 differ, too.
    assert largest_difference(shares, answers) <= ROUNDED + 1e-6


@pytest.mark.parametrize("to", FORMATS)
def test_every_export_says_what_python_says(
    texts: list[str], shares: list, export: Export, tmp_path: Path, to: ExportFormat
) -> None:
    rows = command(export("topic", to), texts, tmp_path)
    difference = largest_difference(shares, [row["probabilities"] for row in rows])
    print(f"{to}: largest difference of a probability {difference:.2g}")
    assert difference <= FORMATS[to].bounds.difference
