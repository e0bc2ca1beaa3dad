"""The card of a model: every number is a step's, nothing else is said, no text becomes markup."""

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from albert_core.artifacts.manifest import Manifest, read_manifest
from albert_core.checkpoints import convert, describe, save_folder
from albert_core.checkpoints.side_files import read_task
from albert_core.errors import InputError
from albert_core.exports.sentences import read_sentences
from albert_core.pretraining.phases import PhaseConfig
from albert_core.tasks import Source
from albert_core.tokenization import SentencePieceTokenizer
from albert_core.training.flops import training_flops_per_token
from components.checkpoint.config import CheckpointConfig
from components.checkpoint.step import import_checkpoint
from components.evaluate.classification import read_classification
from components.evaluate.step import evaluate
from components.export.card.config import CardConfig
from components.export.card.facts import gather_facts
from components.export.card.render import escape_markdown, make_card, render_card, write_card
from components.export.lineage import Lineage, find_lineage, lineage_at
from components.export.proof_sentences import ProofSentences, proof_sentences
from components.finetune.step import finetune
from pipeline.cli.main import main
from tests.helpers.checkpoint_samples import CONFIG, pretrained
from tests.helpers.eager import functions_run_eagerly
from tests.helpers.tiny_pretraining import train
from tests.helpers.tiny_tasks import TINY_TASKS, tiny_finetuning, write_tiny_tasks

PHASES = (
    PhaseConfig(sequence_length=24, num_train_steps=20, num_hidden_layers=1),
    PhaseConfig(sequence_length=48, num_train_steps=20, batch_size=8),
)
TUNING = {
    "num_seeds": 2,
    "num_train_steps": 4,
    "num_probe_examples": 0,
    "sequence_length": 16,
    "optimizer": "muon",
    "bias_correction": True,
}
TASK = dataclasses.replace(TINY_TASKS["topic"], test=(Source(file="test.jsonl"),))
HEADER = re.compile(r"^---\n([\S\s]*?)\n---\n")  # as the Hugging Face hub finds it
HOSTILE = (
    "---\n# Title",
    "a: b\n- c",
    "<script>alert(1)</script>",
    "| a | b |",
    "[here](http://example.com) ![x](y) `code` *bold* _thin_ ~~gone~~",
    "{{ 7 * 7 }} {% raw %}",
    "&lt; \\| \\",
    "1. one",
    "=====",
    "\u202ebackwards\x1b[31m",
)


@pytest.fixture(scope="module")
def run(material, tmp_path_factory) -> Path:
    """The steps of a run in folders of their names: two phases, two seeds, random weights."""
    folder = tmp_path_factory.mktemp("run")
    for step in (material.vocab, material.short, material.long):
        shutil.copytree(step, folder / step.name)
    records = [material.short, material.long]
    settings = {"ema_decay": 0.9, "residual_init_scale": 0.5}
    train(material, folder / "model", records=records, phases=PHASES, **settings)
    data = write_tiny_tasks(folder / "data") / "topic"
    with functions_run_eagerly():
        for name, initialization in (("tuned", "pretrained"), ("random", "random")):
            finetune(
                task=TASK,
                data=data,
                pretrained=folder / "model",
                initialization=initialization,
                config=tiny_finetuning(**TUNING),
                output=folder / name,
            )
            evaluate(model=folder / name, data=data, output=folder / f"{name} scores")
    return folder


@pytest.fixture(scope="module")
def lineage(run) -> Lineage:
    return find_lineage(run / "tuned", run)


def card(run: Path, lineage: Lineage | None, **more: Any) -> str:
    return make_card(run / "tuned", lineage=lineage, **more)


def facts_in(text: str, section: str) -> dict[str, str]:
    """Return the facts that a section of a card lists."""
    body = text.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return dict(line[2:].split(": ", 1) for line in body.splitlines() if line.startswith("- "))


def table_in(text: str, section: str) -> list[dict[str, str]]:
    """Return the rows of a section's table."""
    body = text.split(f"\n## {section}\n")[1].split("\n## ")[0]
    lines = [line for line in body.splitlines() if line.startswith("|")]
    header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(header, row, strict=True)) for row in rows]


def html_of(text: str) -> str:
    """Return the card without its front matter as a reader sees it."""
    return MarkdownIt("commonmark").enable("table").render(text[HEADER.match(text).end() :])


def header_of(text: str) -> dict[str, Any]:
    return yaml.safe_load(HEADER.match(text)[1])


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
        20 * batch * length * training_flops_per_token(config, length, -(-length * 15 // 100))
        for length, batch in ((24, 16), (48, 8))
    )
    assert float(told["Model FLOPs"]) == pytest.approx(flops, rel=0.006)
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


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_text_becomes_markup(hostile, run, lineage):
    line = " ".join(hostile.split("\n"))
    task = {**read_task(run / "tuned"), "name": hostile, "labels": [hostile, "b"]}
    words = CardConfig(
        name=line,
        license=line,
        languages=(line,),
        tags=(line,),
        intended_use=f"{hostile}\n\n{hostile}",
        data_license=line,
        data_description=hostile,
    )
    facts = gather_facts(describe(run / "tuned"), task=task, lineage=lineage, card=words)
    text = render_card(facts)
    header = header_of(text)
    assert (header["license"], header["language"]) == (line, [line])
    assert {hostile, line} <= set(header["tags"])
    plain_words = CardConfig(name="x", intended_use="x\n\nx", data_description="x", license="x")
    harmless = render_card(
        gather_facts(
            describe(run / "tuned"),
            task={**task, "name": "x", "labels": ["x", "b"]},
            lineage=lineage,
            card=dataclasses.replace(plain_words, languages=("x",), tags=("x",), data_license="x"),
        )
    )
    assert tags_of(html_of(text)) == tags_of(html_of(harmless))


def tags_of(html: str) -> list[str]:
    return re.findall(r"<[^>]*>", html)


@pytest.mark.parametrize("hostile", [text for text in HOSTILE if "\x1b" not in text])
def test_escaped_text_reads_as_it_was(hostile):
    html = MarkdownIt("commonmark").enable("table").renderInline(escape_markdown(hostile))
    shown = html.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"')
    assert shown.replace("&amp;", "&") == " ".join(hostile.split())


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"license": "mit\nlanguage: xx"}, "card.license: got several lines"),
        ({"tags": ("a\u2028b",)}, "card.tags: got several lines"),
        ({"watts": -1.0}, "card.watts: got -1.0"),
        ({"price_per_hour": float("nan")}, "card.price_per_hour: got nan"),
        ({"watts": 1.0, "energy_kwh": 1.0}, "beside card.energy_kwh"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, reason):
    with pytest.raises(InputError, match=reason):
        CardConfig(**settings)


def test_the_command_writes_the_card(run, lineage, tmp_path, capsys):
    output = tmp_path / "README.md"
    command = ["card", str(run / "tuned"), "--output", str(output)]
    assert main([*command, "--run", str(run), "--card.languages", "en,de"]) == 0
    assert output.read_text() == card(run, lineage, card=CardConfig(languages=("en", "de")))
    assert "from vocab, records, records, pretrain, finetune, evaluate" in capsys.readouterr().out
    assert main([*command, "--run", str(tmp_path / "nowhere")]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_the_command_writes_over_a_card_but_over_nothing_else(run, tmp_path, capsys):
    vocabulary, output = tmp_path / "spiece.model", tmp_path / "README.md"
    shutil.copy(run / "tuned" / "spiece.model", vocabulary)
    before = vocabulary.read_bytes()
    assert main(["card", str(run / "tuned"), "--output", str(vocabulary)]) == 2
    assert "exists and is not a card as this program wrote it" in capsys.readouterr().err
    assert vocabulary.read_bytes() == before

    command = ["card", str(run / "tuned"), "--output", str(output)]
    assert main([*command, "--card.license", "mit"]) == 0
    assert main([*command, "--card.license", "apache-2.0"]) == 0
    assert header_of(output.read_text())["license"] == "apache-2.0"
    edited = output.read_text().replace("## Model", "## Our model")
    output.write_text(edited)
    assert main(command) == 2
    assert output.read_text() == edited
    assert main(["card", str(run / "tuned"), "--output", str(tmp_path)]) == 2
    assert "got a folder" in capsys.readouterr().err


def test_outputs_in_one_folder_of_another_model_are_left_out(run, lineage, tmp_path):
    shutil.copytree(run / "random scores", tmp_path / "scores")
    (tmp_path / "manifest.json").write_text("{}")
    assert find_lineage(run / "tuned", tmp_path) == Lineage(finetuned=lineage.finetuned)


def test_no_place_on_this_machine_is_told(run, lineage, tmp_path):
    shutil.copytree(run / "tuned", tmp_path / "tuned")
    (tmp_path / "tuned" / "manifest.json").unlink()
    (tmp_path / "tuned" / "spiece.model").write_bytes(b"damaged")
    assert str(tmp_path) in describe(tmp_path / "tuned").vocabulary
    text = make_card(tmp_path / "tuned", lineage=lineage)
    assert str(tmp_path) not in text
    assert str(run) not in text
