"""The card of a model: every number is a step's, and nothing else is said."""

import dataclasses
import json
import re
import shutil

import pytest

from albert_core.artifacts.manifest import Manifest
from albert_core.checkpoints import convert, describe, save_folder
from albert_core.tokenization import SentencePieceTokenizer
from albert_core.training.flops import training_flops_per_token
from components.checkpoint.config import CheckpointConfig
from components.checkpoint.step import import_checkpoint
from components.evaluate.classification import read_classification
from components.export.card.config import CardConfig
from components.export.card.render import make_card, write_card
from components.export.lineage import Lineage, find_lineage, lineage_at
from tests.helpers.checkpoint_samples import CONFIG, pretrained
from tests.helpers.model_cards import TASK, card, facts_in, header_of, table_in


def test_scores_are_those_of_the_evaluation(run, lineage):
    text = card(run, lineage)
    row, test = table_in(text, "Scores")
    tuned, scored = lineage.finetuned.metrics, lineage.evaluated.metrics
    assert row["Metric"] == "accuracy"
    assert test["Metric"] == "test accuracy"
    assert float(row["Score"]) == scored["accuracy"]
    assert float(test["Score"]) == scored["test_accuracy"]
    assert float(row["Mean over seeds"]) == tuned["accuracy_mean"]
    assert float(row["Standard deviation over seeds"]) == tuned["accuracy_std"]
    assert row["95 % interval"] == f"{scored['low']} to {scored['high']}"
    assert float(row["Majority baseline"]) == tuned["majority_score"]
    assert float(row["From random weights"]) == lineage.random_evaluated.metrics["accuracy"]
    assert "the best of 2 evaluations, of 2 seeds" in text
    assert "60 examples; rows that begin with test are on the test set" in text


def test_scores_by_label_are_those_of_the_evaluation(run, lineage):
    scored = read_classification(str(run / "tuned scores"))["classes"]
    rows = table_in(card(run, lineage), "Scores by label")
    assert [row["Label"] for row in rows] == list(TASK.labels)
    for row, expected in zip(rows, scored, strict=True):
        for title, name in (("Precision", "precision"), ("Recall", "recall"), ("F1", "f1")):
            assert float(row[title]) == round(expected[name], 4)
        assert int(row["Examples"]) == expected["num_examples"]


def test_the_recipes_are_those_of_the_steps(run, lineage):
    text = card(run, lineage)
    tuned, pretraining = facts_in(text, "Fine-tuning"), facts_in(text, "Pretraining")
    figures = lineage.finetuned.metrics
    assert tuned["Steps of these weights"] == str(figures["global_step"])
    assert tuned["Peak learning rate"] == str(figures["learning_rate"])
    assert tuned["Seed of these weights"] == str(figures["seed"])
    assert tuned["Training examples"] == str(figures["num_train"])
    assert tuned["Files of the task"].replace("\\", "") == figures["data_files"]
    assert "Epochs" not in tuned
    moments = "bias_correction true, muon_momentum 0.95, muon_rate_ratio 1.0, muon_precision auto"
    assert tuned["Optimizer"].replace("\\", "") == f"muon ({moments})"
    figures = lineage.pretrained.metrics
    assert pretraining["Tokens trained on"] == f"{figures['num_tokens']:,}"
    assert pretraining["Optimizer"] == "adamw"
    assert pretraining["Decay of the averaged weights"] == "0.9"
    assert pretraining["Scale of the initial residual kernels"] == "0.5"
    assert pretraining["Hardware"] == figures["strategy"]
    share = float(pretraining["Held-out masked LM accuracy"].removesuffix(" %"))
    assert share == pytest.approx(100 * figures["masked_lm_accuracy"])
    percent = pretraining["Held-out masked LM accuracy, \\[MASK\\]"].split(" %")[0]
    assert float(percent) == pytest.approx(100 * figures["masked_lm_mask_token_accuracy"])
    assert pretraining["Masks"].startswith("15 % of the tokens")
    assert pretraining["Longest sequences trained on, in tokens"] == "48"
    assert "Effective rank of the outputs at the last evaluation" in pretraining
    rows = table_in(text, "Pretraining")
    assert [(row["Sequence length"], row["Batch size"], row["Layers"]) for row in rows] == [
        ("24", "16", "1"),
        ("48", "8", "all"),
    ]


def test_work_cost_and_energy_follow_from_tokens_and_time(run, lineage):
    costs = CardConfig(price_per_hour=3600.0, currency="EUR", watts=1000.0)
    told = facts_in(card(run, lineage, card=costs), "Pretraining")
    figures = lineage.pretrained.metrics
    hours = figures["num_tokens"] / figures["tokens_per_second"] / 3600
    config = describe(run / "model").model.config
    flops = sum(
        4 * batch * length * training_flops_per_token(config, length, -(-length * 15 // 100))
        for length, batch in ((24, 16), (48, 8))
    )
    assert float(told["Model FLOPs"].replace(",", "")) == pytest.approx(flops, rel=0.006)
    assert float(told["Hours of training"]) == pytest.approx(hours, rel=0.006)
    assert told["Cost"] == f"{3600 * hours:.3g} EUR, at 3,600 an hour"
    assert told["Energy, estimated"] == f"{hours:.3g} kWh, at 1,000 W"
    measured = facts_in(card(run, lineage, card=CardConfig(energy_kwh=0.25)), "Pretraining")
    assert measured["Energy, measured"] == "0.25 kWh"
    assert measured.keys() & {"Cost", "Energy, estimated"} == set()


def test_the_data_card_says_what_was_read_and_left_out(run, lineage):
    figures = lineage.records[1].metrics
    told = facts_in(card(run, lineage), "Data")
    assert told["License of the text"] == "not stated"
    assert told["Documents"] == str(figures["num_documents"])
    assert told["Tokens"] == f"{figures['num_tokens']:,}"
    assert told["Duplicate documents removed"] == str(figures["num_duplicate_documents"])
    assert told["Evaluation sets that documents were compared with"] == "none"
    assert not any("overlap" in label for label in told)
    cleaned = with_evaluation_set(lineage.records[1], "/home/me/dev.tsv")
    text = card(run, Lineage(records=(cleaned,)), card=CardConfig(data_license="CC0-1.0"))
    told = facts_in(text, "Data")
    assert told["License of the text"] == "CC0-1.0"
    assert told["Evaluation sets that documents were compared with"] == "sst-2"
    assert told["Documents removed for overlap with an evaluation set"] == "7"
    assert "/home/me" not in text
    assert (
        told["Near-duplicates removed (Jaccard similarity of word n-grams)"] == "1,234 from 0.8 on"
    )


def with_evaluation_set(records: Manifest, path: str) -> Manifest:
    cleaning = {
        **records.config["cleaning"],
        "evaluation_sets": {"sst-2": [path]},
        "near_duplicate_threshold": 0.8,
    }
    figures = {
        **records.metrics,
        "num_removed_documents": 9,
        "num_overlapping_documents": 7,
        "num_near_duplicate_documents": 1234,
    }
    config = {**records.config, "cleaning": cleaning}
    return dataclasses.replace(records, config=config, metrics=figures)


def test_what_is_not_known_leaves_nothing_behind(run, lineage):
    names = {field.name for field in dataclasses.fields(Lineage)} - {"evaluated"}
    for name in names:
        changes = {name: () if name == "records" else None}
        text = card(run, dataclasses.replace(lineage, **changes))
        assert "None" not in text
        for section in text.split("\n## ")[1:]:
            assert len(section.strip().splitlines()) > 1, section
    own = card(run, None)
    assert re.findall(r"^## (.+)", own, re.MULTILINE) == ["Model"]


def test_the_language_is_that_of_the_corpus_unless_the_card_says_otherwise(run, lineage):
    assert lineage.languages == ("en",)
    german = dataclasses.replace(
        lineage,
        vocab=with_language(lineage.vocab, "de"),
        records=tuple(with_language(manifest, "de") for manifest in lineage.records),
    )
    text = card(run, german)
    assert header_of(text)["language"] == ["de"]
    assert facts_in(text, "Model")["Languages"] == "de"
    assert facts_in(text, "Limits")["Languages of the text"] == "de"
    given = card(run, german, card=CardConfig(languages=("de", "gsw")))
    assert header_of(given)["language"] == ["de", "gsw"]
    earlier = dataclasses.replace(lineage.vocab, config={"kind": "sentencepiece"})
    assert Lineage(vocab=earlier).languages == ()


def with_language(manifest: Manifest, code: str) -> Manifest:
    return dataclasses.replace(manifest, config={**manifest.config, "language": code})


def test_the_card_says_what_becomes_of_accents(run, lineage, tokenizer, tmp_path):
    limits = facts_in(card(run, lineage), "Limits")
    assert limits["Accents"] == "accents and umlauts are dropped, and so lost"
    kept = SentencePieceTokenizer(tokenizer.model, lower_case=True, strip_accents=False)
    one_group = dataclasses.replace(CONFIG, num_hidden_groups=1)  # so that its depth could grow
    save_folder(pretrained(one_group, tokenizer=kept), tmp_path / "kept")
    text = make_card(tmp_path / "kept", lineage=lineage)
    assert facts_in(text, "Model")["Vocabulary"].endswith("lower case, accents kept")
    assert "Accents" not in facts_in(text, "Limits")


def test_a_checkpoint_without_manifests_has_a_card_of_its_sizes(tokenizer, tmp_path):
    save_folder(pretrained(), tmp_path / "ours")
    convert(tmp_path / "ours", tmp_path / "old", to="tf1")
    text = make_card(tmp_path / "old", lineage=find_lineage(tmp_path / "old"))
    assert re.findall(r"^## (.+)", text, re.MULTILINE) == ["Model"]
    told = facts_in(text, "Model")
    sizes = (str(CONFIG.num_hidden_layers), str(CONFIG.hidden_size))
    assert (told["Layers"], told["Hidden size"]) == sizes
    assert told["Parameters"] == f"{describe(tmp_path / 'ours').model.num_parameters:,}"
    assert header_of(text) == {"pipeline_tag": "fill-mask", "tags": ["albert"]}


def test_a_model_of_a_run_from_a_checkpoint_says_what_it_started_from(tokenizer, tmp_path):
    save_folder(pretrained(tokenizer=tokenizer), tmp_path / "ours")
    start = CheckpointConfig(path=str(tmp_path / "ours"))
    import_checkpoint(config=start, output=tmp_path / "start")
    lineage = lineage_at(pretrained=tmp_path / "start")
    told = facts_in(make_card(tmp_path / "start", lineage=lineage), "Checkpoint")
    assert told["Kind"] == "keras"
    assert told["Read from"].endswith("/ours")
    assert "masked" in told["Heads"]


def test_what_an_export_was_compared_by_is_read_beside_it(run, lineage, tmp_path):
    parity = {
        "format": "onnx_int8",
        "differences": {"logits": 0.0123456},
        "size_ratio": 0.26,
        "scores": {"metric": "accuracy", "before": 0.8123456, "after": 0.8},
        "bounds": {"is_quantized": True},
        "of_a_later_version": [1, 2],
    }
    (tmp_path / "parity.json").write_text(json.dumps(parity))
    write_card(tmp_path, model=run / "tuned", lineage=lineage, export_format="onnx_int8")
    text = (tmp_path / "README.md").read_text()
    assert facts_in(text, "Export") == {
        "Largest difference of probabilities of logits": "0.0123",
        "Bytes of the files for each byte of the parameters": "0.26",
        "Accuracy before the export": "0.8123",
        "Accuracy after the export": "0.8",
    }
    assert "onnx_int8" in header_of(text)["tags"]
    write_card(tmp_path, model=run / "tuned", export_format="huggingface")
    assert header_of((tmp_path / "README.md").read_text())["library_name"] == "transformers"


def test_no_place_on_this_machine_is_told(run, lineage, tmp_path):
    shutil.copytree(run / "tuned", tmp_path / "tuned")
    (tmp_path / "tuned" / "manifest.json").unlink()
    (tmp_path / "tuned" / "spiece.model").write_bytes(b"damaged")
    assert str(tmp_path) in describe(tmp_path / "tuned").vocabulary
    text = make_card(tmp_path / "tuned", lineage=lineage)
    assert str(tmp_path) not in text
    assert str(run) not in text
