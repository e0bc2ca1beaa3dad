"""Where runs are tracked: which settings are refused, and how steps come to have them."""

import importlib.util
import json

import pytest

from albert_core.errors import InputError
from albert_core.tracking import trackers
from albert_core.tracking.config import (
    GROUP_OF_OUTPUT,
    GROUP_VARIABLE,
    NO_TRACKING,
    TRACKING_VARIABLE,
    TrackingConfig,
    step_group,
)
from albert_core.tracking.run import TrackedRun, flat_settings, numbers_of
from pipeline.local.tracked_run import keep_tracked_run, tracking_environment


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"address": "http://host"}, "tracking.address: got http://host without a tracker"),
        ({"experiment": "mine"}, "expected tracking.to, too: tensorboard, mlflow, wandb, vertex"),
        ({"to": "mlflow", "address": "ftp://host"}, "for MLflow, expected http://localhost:5000"),
        ({"to": "tensorboard", "address": "gs://b/x"}, "for TensorBoard, expected a folder"),
        ({"to": "vertex", "address": "my-project"}, "expected projects/PROJECT/locations/"),
        ({"to": "vertex", "experiment": "My runs"}, "a name that Vertex Experiments takes"),
        ({"to": "wandb", "experiment": "a/b/c"}, "a name that Weights & Biases takes"),
        ({"to": "mlflow", "address": "https://me:pw@host"}, "give them in variables of their own"),
        ({"to": "mlflow", "address": "https://me:pw@[::1"}, "got '[::1', expected http://"),
        ({"to": "mlflow", "address": "https://me:pw@host\u2100"}, "got 'host\u2100', expected"),
    ],
)
def test_what_a_tracker_does_not_take_is_refused(settings, message):
    with pytest.raises(InputError) as refused:
        TrackingConfig(**settings)
    assert message in str(refused.value)
    assert "pw" not in str(refused.value)


def test_a_password_in_the_address_of_the_environment_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:pw@host")
    config = TrackingConfig(to="mlflow")
    for check in (
        lambda: config.check_here(output=str(tmp_path)),
        lambda: config.check_elsewhere("Kubeflow"),
        lambda: config.resolved_address(tmp_path),
    ):
        with pytest.raises(InputError, match=r"^MLFLOW_TRACKING_URI: got a user's name") as refused:
            check()
        assert "pw" not in str(refused.value)


def test_a_missing_client_is_named_with_its_extra(monkeypatch, tmp_path):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        trackers.importlib.util,
        "find_spec",
        lambda name, *rest: None if name in ("mlflow", "wandb") else find_spec(name, *rest),
    )
    for name in ("mlflow", "wandb"):
        with pytest.raises(InputError, match=rf"'albert-pipeline\[{name}\]'"):
            TrackingConfig(to=name).check_here(output=str(tmp_path))
    NO_TRACKING.check_here(output=str(tmp_path))


def test_steps_elsewhere_need_a_server_and_containers_a_folder_of_the_run(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "run"
    with pytest.raises(InputError, match="expected a server that steps on Vertex AI reach"):
        TrackingConfig(to="mlflow", address="runs").check_elsewhere("Vertex AI")
    with pytest.raises(InputError, match=r"got nothing, expected \(or MLFLOW_TRACKING_URI\) http"):
        TrackingConfig(to="mlflow").check_elsewhere("Vertex AI")
    with pytest.raises(InputError, match="got tensorboard, which writes into a folder, for steps"):
        TrackingConfig(to="tensorboard").check_elsewhere("Kubeflow")
    with pytest.raises(InputError, match="containers have no network"):
        TrackingConfig(to="mlflow", address="http://host:5000").check_containers(folder)
    with pytest.raises(InputError, match="got Weights & Biases with runner docker"):
        TrackingConfig(to="wandb").check_containers(folder)
    TrackingConfig(to="mlflow").check_containers(folder)
    TrackingConfig(to="wandb", address=str(folder / "wandb")).check_containers(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000")
    TrackingConfig(to="mlflow").check_elsewhere("Vertex AI")
    TrackingConfig(to="wandb").check_elsewhere("Kubeflow")  # its own server is known


def test_the_steps_of_a_run_have_its_settings_and_its_id(tmp_path, monkeypatch):
    config = TrackingConfig(to="tensorboard", experiment="tries")
    environment = tracking_environment(config, tmp_path, "Weekly")
    assert tracking_environment(NO_TRACKING, tmp_path, "Weekly") == {}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ours = NO_TRACKING.or_from_environment()
    assert ours.run == "Weekly"
    assert (ours.to, ours.experiment) == ("tensorboard", "tries")
    assert ours.address == str(tmp_path / "tracking")
    group = step_group(ours, step="evaluate cola", output="/anywhere")
    assert group == environment[GROUP_VARIABLE]
    assert not list(tmp_path.iterdir())

    keep_tracked_run(tmp_path, environment)
    again = tracking_environment(config, tmp_path, "Weekly")
    assert again == environment, "a later run in the folder is another one"
    in_bucket = [
        tracking_environment(config, tmp_path / machine, "Weekly", "s3://bucket/run/work")
        for machine in ("one", "another")
    ]
    assert in_bucket[0][GROUP_VARIABLE] == in_bucket[1][GROUP_VARIABLE] != group
    with pytest.raises(InputError, match="got nothing, expected a folder"):
        config.check_here(output="s3://bucket/run/work")
    (tmp_path / "work" / "tracked-run").write_text("damaged")
    assert tracking_environment(config, tmp_path, "Weekly")[GROUP_VARIABLE] != group


def test_settings_of_the_environment_that_are_none_are_named(monkeypatch):
    monkeypatch.setenv(TRACKING_VARIABLE, "mlflow")
    with pytest.raises(InputError, match="ALBERT_TRACKING: got 'mlflow', expected JSON"):
        TrackingConfig.from_environment()
    monkeypatch.setenv(TRACKING_VARIABLE, json.dumps({"to": "mlfow"}))
    with pytest.raises(InputError, match="ALBERT_TRACKING: "):
        TrackingConfig.from_environment()


@pytest.mark.parametrize(
    "output",
    [
        "gs://bucket/pretrain/v2/artifacts/albert/RUN/pretrain/0a1b/pretrained",
        "gs://bucket/runs/1234567/RUN/pretrain_-456/pretrained",
        "gs://bucket/runs/1234567/RUN/pretrain-in-custom-job_-456/pretrained/",
    ],
)
def test_steps_on_a_platform_know_their_run_by_the_address_of_their_output(output, monkeypatch):
    monkeypatch.setenv(GROUP_VARIABLE, GROUP_OF_OUTPUT)
    config = TrackingConfig(to="wandb", run="Weekly")
    assert step_group(config, step="pretrain", output=output) == "RUN"
    assert step_group(config, step="finetune cola", output="gs://b/elsewhere") == "Weekly"


def test_a_command_alone_belongs_to_the_run_that_it_is_told(monkeypatch):
    monkeypatch.delenv(GROUP_VARIABLE, raising=False)
    config = TrackingConfig(to="wandb", run="tries")
    assert step_group(config, step="pretrain", output="out") == "tries"
    run = TrackedRun(key="k", step="pretrain", address="", experiment="", group="tries")
    assert run.group_label == "tries"


def test_settings_become_parameters_by_dotted_names_and_numbers_values():
    nested = {"model": {"preset": "tiny", "dropout": None}, "phases": [{"steps": 1}], "on": True}
    assert flat_settings(nested) == {
        "model.preset": "tiny",
        "phases": '[{"steps": 1}]',
        "on": True,
    }
    values = {"global_step": 3, "loss": 1, "masking": "n-grams", "is_new": True}
    assert numbers_of(values) == {"loss": 1.0}
