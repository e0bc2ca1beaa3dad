"""What a dated run reads follows from its date alone."""

import json

import pytest
from kfp import dsl

from albert_core.artifacts.step import run_step
from albert_core.corpus import CorpusConfig
from albert_core.errors import InputError
from albert_core.pretraining.config import PretrainingConfig
from albert_core.tokenization.config import VocabConfig
from components.promote.config import RetrainingConfig
from components.promote.model_registry import AcceptedModel, accept
from components.resolve.component import resolve as resolve_component
from components.resolve.dates import has_date, parse_date, with_date
from components.resolve.step import resolve
from tests.helpers.tiny_run import write_corpus


@pytest.mark.parametrize("text", ["2026-11-01", "2026-11-01T06:00:00Z", "2026-11-01T06:00:00.5Z"])
def test_dates_and_times_are_dates(text):
    assert parse_date(text) == "2026-11-01"


@pytest.mark.parametrize(
    "text", ["", "today", "2026-13-01", "2026-11-011", "[[ScheduledTime.2006-01-02]]"]
)
def test_anything_else_is_refused(text):
    with pytest.raises(InputError, match=r"date: got .*, expected YYYY-MM-DD"):
        parse_date(text)


def test_the_date_takes_the_place_of_every_placeholder():
    assert with_date(("a/{{ds}}/{{ds}}.txt", "b"), "2026-11-01") == (
        "a/2026-11-01/2026-11-01.txt",
        "b",
    )
    assert has_date({"a": [{"b": "x{{ds}}"}]})
    assert not has_date({"a": [{"b": 1}]})


def settings(tmp_path) -> dict:
    return {
        "date": "2026-11-01T06:00:00Z",
        "title": "news of {{ds}}",
        "corpus": CorpusConfig(files=(str(tmp_path / "{{ds}}"),)),
        "vocab": VocabConfig(size=60),
        "pretraining": PretrainingConfig(),
        "retraining": RetrainingConfig(accepted=str(tmp_path / "accepted")),
    }


def test_the_first_run_keeps_its_settings(tmp_path):
    write_corpus(tmp_path / "2026-11-01", num_documents=3)
    found = resolve(**settings(tmp_path))
    assert found.date == "2026-11-01"
    assert found.title == "news of 2026-11-01"
    assert found.corpus.files == (str(tmp_path / "2026-11-01"),)
    assert found.vocab == VocabConfig(size=60)
    assert found.pretraining == PretrainingConfig()
    assert found.accepted is None


def test_later_runs_go_on_from_the_accepted_model_with_its_vocabulary(tmp_path):
    write_corpus(tmp_path / "2026-11-01", num_documents=3)
    manifest = run_step(
        "pretrain", config={}, inputs={}, output=tmp_path / "model", body=lambda *_: {}
    )
    model = AcceptedModel(
        date="2026-10-31",
        address=str(tmp_path / "model"),
        content_hash=manifest.content_hash,
        run="news",
        scores={},
    )
    accept(str(tmp_path / "accepted"), model)
    scaled = PretrainingConfig(residual_init_scale=0.15)  # of the first model alone
    trained = VocabConfig(size=60, character_coverage=0.999)  # likewise
    found = resolve(**{**settings(tmp_path), "pretraining": scaled, "vocab": trained})
    assert found.accepted == model
    assert found.vocab == VocabConfig(size=60, source=model.address)
    assert found.pretraining == PretrainingConfig(init_checkpoint=model.address)


def test_a_date_without_text_is_refused(tmp_path):
    with pytest.raises(InputError, match="2026-11-01': no file matches"):
        resolve(**settings(tmp_path))


def test_new_text_of_the_same_date_is_new_work(tmp_path):
    write_corpus(tmp_path / "2026-11-01", num_documents=3, seed=1)
    first = resolve(**settings(tmp_path)).corpus_fingerprint
    write_corpus(tmp_path / "2026-11-01", num_documents=3, seed=2)
    assert resolve(**settings(tmp_path)).corpus_fingerprint != first


def test_the_component_hands_plain_values_on(tmp_path):
    write_corpus(tmp_path / "2026-11-01", num_documents=3)
    outputs = resolve_component.python_func(
        date="2026-11-01",
        title="news of {{ds}}",
        corpus={"files": [str(tmp_path / "{{ds}}")]},
        vocab={"size": 60.0},
        pretraining={"num_train_steps": 10_000.0},
        retraining={"accepted": str(tmp_path / "accepted"), "min_gain": 0.01},
        work_root=str(tmp_path / "work"),
        resolved=dsl.Artifact(uri=str(tmp_path / "resolved")),
    )
    assert outputs.title == "news of 2026-11-01"
    assert outputs.corpus["files"] == [str(tmp_path / "2026-11-01")]
    assert outputs.vocab["size"] == 60
    assert outputs.pretraining["init_checkpoint"] == ""
    assert outputs.accepted == {}
    kept = json.loads((tmp_path / "resolved" / "resolved.json").read_text())
    assert kept == outputs._asdict()
