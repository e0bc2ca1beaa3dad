"""What a run in containers refuses before anything starts, and what its containers may see."""

import gc

import pytest

from albert_core.errors import InputError
from albert_core.finetuning.config import FinetuningConfig
from albert_core.tasks import TASKS
from components.finetune.job import TaskJob
from pipeline.local.containers import container_runner, input_folders


def arguments(*files: str, beam_runner: str = "local") -> dict:
    job = TaskJob(
        task=TASKS["mnli"],  # one of its test files is in another folder
        data="/data/glue/MNLI",
        data_fingerprint="",
        initialization="pretrained",
        finetuning=FinetuningConfig(),
    )
    return {
        "corpus": {"files": list(files)},
        "cleaning": {"evaluation_sets": {}},
        "vocab": {"source": ""},
        "beam": {"runner": beam_runner},
        "pretraining": {"init_checkpoint": ""},
        "retraining": {"accepted": ""},
        "jobs": [job.to_values()],
    }


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the client's own, when it fails
def test_without_an_engine_a_run_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    with pytest.raises(InputError, match="no Docker engine answers"):
        container_runner(arguments("/text/a.txt"), tmp_path, {})
    gc.collect()


def test_a_backend_that_the_images_have_not_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(InputError, match="got jax with runner docker, whose image trainer has"):
        container_runner(arguments("/text/a.txt"), tmp_path, {})


def test_containers_without_network_take_no_remote_text_and_no_remote_runner():
    with pytest.raises(InputError, match=r"with gs://bucket/a\.txt; expected files on this"):
        input_folders(arguments("/text/a.txt", "gs://bucket/a.txt"))
    with pytest.raises(InputError, match=r"with beam\.runner=DataflowRunner"):
        input_folders(arguments("/text/a.txt", beam_runner="DataflowRunner"))


def test_the_outermost_folders_of_all_inputs_are_seen():
    files = ["/text/a.txt", "/text/more/b.txt", "/other/c.txt"]
    assert input_folders(arguments(*files)) == [
        "/data/glue/MNLI",
        "/data/glue/diagnostic",
        "/other",
        "/text",
    ]


def test_what_a_link_leads_to_is_seen(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.txt").write_text("text")
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "a.txt"
    link.symlink_to(tmp_path / "real" / "a.txt")
    seen = input_folders(arguments(str(link)))
    assert {str(tmp_path / "links"), str(tmp_path / "real")} < set(seen)
