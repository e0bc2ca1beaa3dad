"""Bad input gets one clear line and exit status 2, and leaves nothing behind."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from albert_core.presets import ModelConfig
from albert_core.tokenization.config import VocabConfig
from albert_core.tracking import trackers
from pipeline.cli.main import main
from pipeline.config_files import read_config
from tests.helpers.tiny_run import write_tiny_run


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    folder = tmp_path_factory.mktemp("material")
    write_tiny_run(folder)
    return folder


@pytest.fixture
def folder(material, tmp_path):
    """A fresh copy of corpus, tasks and configuration, with the paths adjusted."""
    copy = tmp_path / "material"
    shutil.copytree(material, copy)
    config = copy / "tiny.yaml"
    config.write_text(config.read_text().replace(str(material), str(copy)))
    return copy


def refuse(capsys, folder: Path, *options: str) -> str:
    """Run with options that must be refused; return the one line that says why."""
    output = folder / "out"
    existed = output.exists()
    status = main(["run", "--config", str(folder / "tiny.yaml"), "--output", str(output), *options])
    (line,) = capsys.readouterr().err.splitlines()
    assert status == 2, line
    assert line.startswith("albert: error: ")
    assert output.exists() == existed, "something was left behind"
    return line


def test_no_file_matches_the_corpus(capsys, folder):
    line = refuse(capsys, folder, "--corpus", "missing/*.txt")
    assert "'missing/*.txt': no file matches" in line


def test_containers_and_a_run_folder_in_the_cloud(capsys, folder):
    line = refuse(capsys, folder, "--output", "gs://bucket/run", "--runner", "docker")
    assert "output gs://bucket/run: got an address in the cloud with runner docker" in line


@pytest.mark.parametrize("text", ["", "{"])
def test_an_evaluation_set_that_cannot_be_read(capsys, folder, text):
    dev = folder / "dev.json"
    dev.write_text(text)
    sets = f'{{"squad": ["{dev}"]}}'
    line = refuse(capsys, folder, "--cleaning.evaluation_sets", sets)
    assert "evaluation data" in line
    assert "dev.json" in line


def test_a_tracker_whose_client_is_not_installed(capsys, folder, monkeypatch):
    monkeypatch.setattr(trackers, "_is_installed", lambda package: package != "wandb")
    needs = "tracking.to: got wandb, which needs the package wandb, which is not installed"
    assert needs in refuse(capsys, folder, "--tracking.to", "wandb")
    assert (
        main(["pretrain", "--vocab_dir=v", "--records_dir=r", "--output=o", "--tracking.to=wandb"])
        == 2
    )
    assert needs in capsys.readouterr().err


def test_an_empty_corpus(capsys, folder):
    empty = folder / "empty.txt"
    empty.touch()
    assert "empty" in refuse(capsys, folder, "--corpus", str(empty))


def test_a_corpus_of_white_space(capsys, folder):
    blank = folder / "blank.txt"
    blank.write_text(" \n\n \n")
    assert "no text" in refuse(capsys, folder, "--corpus", str(blank))


def test_a_corpus_that_is_not_utf8(capsys, folder):
    latin = folder / "latin.txt"
    latin.write_bytes("Ein Satz.\nÄpfel sind rot.\n".encode("latin-1"))
    line = refuse(capsys, folder, "--corpus", str(latin))
    assert "latin.txt: not UTF-8 at byte 10" in line


def test_a_vocabulary_larger_than_the_text_allows(capsys, folder):
    line = refuse(capsys, folder, "--vocab.size", "5000")
    assert "vocab.size: got 5000, expected at most " in line


def test_a_vocabulary_too_small_for_the_characters_of_the_text(capsys, folder):
    (folder / "characters.txt").write_text(" ".join(map(chr, range(0x4E00, 0x4E40))))
    line = refuse(capsys, folder, "--corpus", str(folder / "characters.txt"), "--vocab.size", "50")
    least = re.search(r"vocab\.size: got 50, expected at least (\d+), .* a lower vocab\.char", line)
    assert least
    assert int(least[1]) > 0x40


def test_an_unknown_task(capsys, folder):
    line = refuse(capsys, folder, "--tasks", "cola,colla")
    assert "task 'colla': unknown" in line
    assert "cola, sst-2" in line


@pytest.mark.parametrize("tasks", ["topic,topic", "topic, topic", "topic,cola,topic"])
def test_a_task_that_is_named_twice(capsys, folder, tasks):
    assert "tasks: got topic twice" in refuse(capsys, folder, "--tasks", tasks)


@pytest.mark.parametrize("tasks", ["topic,,cola", "topic,", ","])
def test_a_task_without_a_name(capsys, folder, tasks):
    assert "tasks: got ''" in refuse(capsys, folder, "--tasks", tasks)


def test_a_row_of_other_choices_is_found_before_the_vocabulary_is_trained(capsys, folder):
    task = folder / "glue" / "arc"
    task.mkdir()
    kind = "name: arc\nkind: multiple_choice\ntexts: [q, c]\nmetrics: [accuracy]\n"
    (task / "task.yaml").write_text(f"{kind}train: d.jsonl\ndev: d.jsonl\n")
    rows = [{"q": "The cow", "c": ["grazes", "sinks"], "label": 0}] * 2
    rows.append({"q": "The cow", "c": ["grazes", "sinks", "rings"], "label": 0})
    (task / "d.jsonl").write_text("\n".join(map(json.dumps, rows)))
    line = refuse(capsys, folder, "--tasks", "arc")
    assert "d.jsonl, line 3: got 3 choices, expected 2 as in the first row" in line


def test_half_a_character_is_found_before_the_vocabulary_is_trained(capsys, folder):
    path = folder / "glue" / "topic"
    declaration = (path / "task.yaml").read_text()
    texts = declaration.replace("texts:\n- 0", "texts: [t]").replace("label: 1", "label: l")
    (path / "task.yaml").write_text(f"{texts}train: d.jsonl\ndev: d.jsonl\n")
    (path / "d.jsonl").write_text('{"t": "so happy \\ud83d", "l": "sea"}\n')
    assert "d.jsonl, line 1: got the text" in refuse(capsys, folder)


def test_no_task(capsys, folder):
    assert "tasks: got none" in refuse(capsys, folder, "--tasks", "[]")


def test_two_tasks_of_one_name(capsys, folder):
    declared = folder / "glue" / "topic" / "task.yaml"
    line = refuse(capsys, folder, "--tasks", f"topic,{declared}")
    assert f"tasks: got topic and {declared}, both named topic, expected different names" in line


def test_two_models_of_one_name_are_not_evaluated_into_one_folder(capsys, tmp_path):
    models = ",".join(str(tmp_path / name / "cola") for name in ("first", "second"))
    command = ["evaluate", "--data_dir", "d", "--output", str(tmp_path / "out")]
    assert main([*command, "--finetuned_dirs", models]) == 2
    assert "both named cola, as the folders of their scores would be" in capsys.readouterr().err


def test_a_folder_of_configurations_as_output(capsys, folder):
    (folder / "out").mkdir()
    config = folder / "out" / "config.yaml"
    config.write_text((folder / "tiny.yaml").read_text())
    before = config.read_bytes()
    assert "not a run's folder" in refuse(capsys, folder)
    assert config.read_bytes() == before


def test_a_glue_folder_without_the_tasks_folder(capsys, folder):
    assert "in SST-2 or glue/SST-2" in refuse(capsys, folder, "--tasks", "sst-2")


def test_a_task_folder_without_its_files(capsys, folder):
    (folder / "glue" / "CoLA" / "dev.tsv").unlink()
    line = refuse(capsys, folder, "--tasks", "cola")
    assert "dev.tsv" in line
    assert "dev set" in line


def test_a_row_with_too_few_columns_names_file_and_line(capsys, folder):
    rows = (folder / "glue" / "CoLA" / "train.tsv").read_text().splitlines()
    rows[6] = "made\t1"
    (folder / "glue" / "CoLA" / "train.tsv").write_text("\n".join(rows) + "\n")
    line = refuse(capsys, folder, "--tasks", "cola")
    assert "train.tsv, line 7: got 2 columns, expected at least 4" in line


def test_an_unknown_label_names_file_and_line(capsys, folder):
    path = folder / "glue" / "topic" / "dev.tsv"
    path.write_text(path.read_text() + "The moon rises.\tspace\n")
    assert "dev.tsv, line 62: got label 'space'" in refuse(capsys, folder)


def test_an_unknown_key_in_the_configuration(capsys, folder):
    config = folder / "tiny.yaml"
    config.write_text(config.read_text().replace("num_warmup_steps", "warmup_steps"))
    line = refuse(capsys, folder)
    assert "warmup_steps" in line
    assert "tiny.yaml" in line


def test_an_unknown_option(capsys, folder):
    assert "--vocab.siz" in refuse(capsys, folder, "--vocab.siz", "50")


def test_a_configuration_that_is_not_there(capsys, tmp_path):
    status = main(["run", "--config", str(tmp_path / "no.yaml"), "--output", str(tmp_path / "o")])
    assert status == 2
    assert "no.yaml: no such file" in capsys.readouterr().err


def test_a_value_of_the_wrong_type(capsys, folder):
    assert "vocab.size" in refuse(capsys, folder, "--vocab.size", "many")


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--records.sequence_length", "0", "records.sequence_length: got 0, expected at least 5"),
        ("--records.sequence_length", "1024", "max_position_embeddings=512"),
        ("--finetuning.sequence_length", "1024", "max_position_embeddings=512"),
        ("--records.held_out_fraction", "1.5", "held_out_fraction: got 1.5"),
        ("--pretraining.learning_rate", "-1", "learning_rate: got -1"),
        ("--pretraining.num_warmup_steps", "400", "num_warmup_steps: got 400"),
        ("--pretraining.num_train_steps", "410", "expected a multiple of"),
        ("--pretraining.masking.mask_probability", "0", "mask_probability: got 0"),
        ("--model.preset", "huge", "model preset: got 'huge'"),
        ("--model.overrides", '{"hidden_size": 33}', "expected a multiple of num_attention_heads"),
        ("--model.overrides", '{"hiden_size": 32}', "unknown keys hiden_size"),
        ("--finetuning.per_task", '{"topic": {"epochs": 1}}', "does not accept option 'epochs'"),
        # Without effect.
        ("--cleaning.overlap_ngram", "8", "got 8 without cleaning.evaluation_sets"),
        ("--retraining.min_gain", "0.01", "got 0.01 without retraining.accepted"),
        ("--export.card.license", "mit", "export.card: got settings without export.formats"),
        ("--export.thresholds", '{"topic": 0.5}', "export.thresholds: got settings without"),
        ("--corpus.text_field", "body", "got 'body' with the format sentences, expected it with"),
    ],
)
def test_an_impossible_setting(capsys, folder, option, value, reason):
    assert reason in refuse(capsys, folder, option, value)


def test_a_date_that_nothing_depends_on(capsys, folder):
    line = refuse(capsys, folder, "--date", "2026-11-01")
    assert "date: got 2026-11-01, expected none" in line


def test_a_date_that_is_none(capsys, folder):
    assert "expected YYYY-MM-DD" in refuse(
        capsys, folder, "--date", "yesterday", "--title", "{{ds}}"
    )


def test_a_date_without_text(capsys, folder):
    pattern = str(folder / "corpus-{{ds}}")
    line = refuse(capsys, folder, "--date", "2026-11-01", "--corpus", pattern)
    assert "corpus-2026-11-01': no file matches" in line


def test_a_date_where_it_has_no_place(capsys, folder):
    line = refuse(capsys, folder, "--data_dir", "tasks/{{ds}}")
    assert "data_dir: got {{ds}}, expected it only in corpus.files and title" in line


def test_an_accepted_model_that_is_gone(capsys, folder):
    entry = {"date": "2026-10-31", "address": "/gone", "content_hash": "h", "run": "", "scores": {}}
    history = folder / "accepted" / "history"
    history.mkdir(parents=True)
    (history / "2026-10-31.json").write_text(json.dumps(entry))
    line = refuse(capsys, folder, "--retraining.accepted", str(folder / "accepted"))
    assert "the accepted model at /gone is gone" in line


def test_a_threshold_of_a_task_that_does_not_exist(capsys, folder):
    options = ["--export.formats", "huggingface", "--export.thresholds", '{"topics": 0.5}']
    assert "export.thresholds: got topics, expected names" in refuse(capsys, folder, *options)


def test_masks_of_static_records_that_pretraining_would_draw_otherwise(capsys, folder):
    options = ["--records.format", "static", "--pretraining.masking.max_ngram", "1"]
    line = refuse(capsys, folder, *options)
    assert "pretraining.masking: got settings with records.format static" in line


def test_an_output_folder_that_is_not_a_run(capsys, folder):
    (folder / "out").mkdir()
    (folder / "out" / "thesis.tex").touch()
    assert "not a run's folder" in refuse(capsys, folder)
    assert [path.name for path in (folder / "out").iterdir()] == ["thesis.tex"]


def test_a_step_given_another_steps_output(capsys, tmp_path, folder):
    vocab = str(tmp_path / "vocab")
    config = str(folder / "tiny.yaml")
    assert main(["vocab", "--config", config, "--output", vocab]) == 0
    options = ["--vocab_dir", vocab, "--records_dir", vocab, "--output", str(tmp_path / "model")]
    capsys.readouterr()
    assert main(["pretrain", "--config", config, *options]) == 2
    assert "expected the output of `albert records`" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["material", "vocab"]


@pytest.mark.parametrize("content", ["", "# nothing yet\n", "null\n"])
def test_an_empty_configuration(capsys, folder, content):
    (folder / "tiny.yaml").write_text(content)
    assert "tiny.yaml: got nothing, expected settings by name" in refuse(capsys, folder)


def test_a_section_without_settings_is_at_its_defaults(folder):
    config = folder / "tiny.yaml"
    config.write_text("title: 1984\nmodel:\nvocab: ~\ntasks: [no, 5]\ndata_dir: 2026-11-01\n")
    read = read_config(config)
    assert (read.model, read.vocab) == (ModelConfig(), VocabConfig())
    assert (read.title, read.tasks, read.data_dir) == ("1984", ("no", "5"), "2026-11-01")


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_file_is_not_waited_for(capsys, folder, kind):
    config = folder / "tiny.yaml"
    config.unlink()
    if kind == "pipe":
        os.mkfifo(config)
    elif kind == "device":
        config.symlink_to("/dev/zero")
    else:
        config.mkdir()
    assert f"tiny.yaml: got a {kind}, expected a file" in refuse(capsys, folder)


def test_a_declaration_or_rows_that_are_a_pipe(capsys, folder):
    rows = folder / "glue" / "topic" / "dev.tsv"
    rows.unlink()
    os.mkfifo(rows)
    assert "no dev.tsv in" in refuse(capsys, folder)


def test_an_argument_that_is_not_utf8(capsys):
    assert main(["info", os.fsdecode(b"runs/\xff")]) == 2
    assert "argument 2: got runs/\\udcff, which is not UTF-8" in capsys.readouterr().err
