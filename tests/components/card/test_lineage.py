"""What led to a model is found by its hashes, and nothing else is taken for it."""

import dataclasses
import shutil

import pytest

from albert_core.artifacts.manifest import read_manifest
from albert_core.errors import InputError
from albert_core.exports.sentences import read_sentences
from components.export.lineage import Lineage, find_lineage, lineage_at
from components.export.proof_sentences import ProofSentences, proof_sentences


def test_what_led_to_a_model_is_found_by_its_hashes(run, lineage):
    of = {name: read_manifest(run / name, step=step) for name, step in STEPS.items()}
    assert lineage == Lineage(
        vocab=of["vocab"],
        records=(of["short"], of["long"]),
        pretrained=of["model"],
        finetuned=of["tuned"],
        evaluated=of["tuned scores"],
        random_evaluated=of["random scores"],
    )
    assert find_lineage(run / "model", run).manifests == lineage.manifests[:4]
    assert find_lineage(run / "tuned") == Lineage(finetuned=of["tuned"])
    assert find_lineage(run / "random", run).random_evaluated is None
    known = lineage_at(finetuned=run / "tuned", records=[run / "long"], vocab=run / "nowhere")
    assert known == Lineage(finetuned=of["tuned"], records=(of["long"],))


STEPS = {
    "vocab": "vocab",
    "short": "records",
    "long": "records",
    "model": "pretrain",
    "tuned": "finetune",
    "tuned scores": "evaluate",
    "random scores": "evaluate",
}


def test_outputs_of_different_models_make_no_card(run, lineage):
    with pytest.raises(InputError, match="evaluation of another model"):
        dataclasses.replace(lineage, evaluated=lineage.random_evaluated)
    other = dataclasses.replace(lineage.records[0], files={})
    with pytest.raises(InputError, match="other records than"):
        dataclasses.replace(lineage, records=(other,))
    with pytest.raises(InputError, match="name that output"):
        find_lineage(run / "vocab", run)
    with pytest.raises(InputError, match="no such folder"):
        find_lineage(run / "tuned", run / "nowhere")


def test_exports_are_proved_on_sentences_of_the_corpus_if_it_is_known(run, lineage, tmp_path):
    for of_run in (lineage, lineage_at(vocab=run / "vocab")):
        chosen = proof_sentences(of_run)
        assert chosen.source == "corpus"
        assert chosen.texts == (run / "vocab" / "sentences.txt").read_text().splitlines()
    (tmp_path / "own.txt").write_text("Ein Satz.\n")
    given = proof_sentences(lineage, tmp_path / "own.txt")
    assert given == ProofSentences(texts=["Ein Satz."], source="file")
    earlier = dataclasses.replace(lineage.vocab, files={})
    for unknown in (Lineage(), dataclasses.replace(lineage, vocab=earlier)):
        assert proof_sentences(unknown) == ProofSentences(texts=read_sentences(), source="package")


def test_outputs_in_one_folder_of_another_model_are_left_out(run, lineage, tmp_path):
    shutil.copytree(run / "random scores", tmp_path / "scores")
    (tmp_path / "manifest.json").write_text("{}")
    assert find_lineage(run / "tuned", tmp_path) == Lineage(finetuned=lineage.finetuned)


def test_a_damaged_vocabulary_of_another_model_is_left_alone(run, lineage, tmp_path):
    shutil.copytree(run / "vocab", tmp_path / "vocab")
    damaged = [path for path in (tmp_path / "vocab").iterdir() if path.name != "manifest.json"]
    assert damaged
    for path in damaged:
        path.write_text("")
    assert find_lineage(run / "tuned", tmp_path) == Lineage(finetuned=lineage.finetuned)
