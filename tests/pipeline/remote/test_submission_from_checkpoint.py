"""`albert submit` and `albert schedule` for a run that begins from a checkpoint in a bucket."""

import shlex

import pytest
import yaml

from albert_core import storage
from pipeline.cli.main import main
from tests.helpers.platforms import connection


@pytest.mark.parametrize(
    "command", ["submit --run_id tiny-1", "schedule create --name w --cron '0 3 * * 1'"]
)
def test_a_run_from_a_checkpoint_is_submitted_and_scheduled_without_a_cost(
    config, platform, command, monkeypatch, capfd
):
    monkeypatch.setenv("ALBERT_REGISTRY", "us-docker.pkg.dev/proj/albert")
    bucket = yaml.safe_load(config.read_text())["data_dir"].removesuffix("/glue")
    storage.write_bytes(f"{bucket}/base/model.ckpt-best.index", b"x")
    options = [
        *("--checkpoint", f"{bucket}/base/model.ckpt-best", "--data_dir", f"{bucket}/glue"),
        *("--tasks", "cola", "--max_cost", "1", "--check_images", "false", "--dry_run", "true"),
    ]
    status = main([*shlex.split(command), *connection(platform), *options])
    captured = capfd.readouterr()
    assert status == 0, captured.err
    assert "--max_cost limits nothing of a run from a checkpoint; fine-tuning" in captured.err
    assert f"{bucket}/base/model.ckpt-best" in captured.out
    for of_text in ("train-vocab", "make-records", "corpus"):
        assert of_text not in captured.out


def test_a_checkpoint_that_is_not_in_its_bucket_is_refused(config, vertex, monkeypatch, capfd):
    monkeypatch.setenv("ALBERT_REGISTRY", "us-docker.pkg.dev/proj/albert")
    bucket = yaml.safe_load(config.read_text())["data_dir"].removesuffix("/glue")
    options = ["--checkpoint", f"{bucket}/none", "--data_dir", f"{bucket}/glue", "--tasks", "cola"]
    assert main(["submit", *connection(vertex), *options, "--dry_run", "true"]) == 2
    assert f"{bucket}/none" in capfd.readouterr().err
