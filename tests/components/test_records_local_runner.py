"""Processes of Beam on this machine: this program's own, which import no client of a cloud."""

import sys
from pathlib import Path

import apache_beam as beam
import pytest

from components.records.runners import BeamConfig


class Describe(beam.DoFn):
    """Writes a file with the command of the process and the clients that it has imported."""

    def process(self, folder: str) -> None:
        clients = sys.modules.keys() & {"boto3", "google.cloud.bigquery", "google.cloud.storage"}
        text = "\n".join([" ".join(sys.orig_argv[1:]), *sorted(clients)])
        Path(folder, "process").write_text(text, encoding="utf-8")


class Fail(beam.DoFn):
    """Fails for every element."""

    def process(self, _: str) -> None:
        raise ValueError("no such thing")


@pytest.fixture(scope="module")
def options():
    return BeamConfig(mode="multi_processing", num_workers=2).options_for(num_bytes=0, num_splits=1)


def test_a_process_is_this_programs_and_has_no_client_of_a_cloud(options, tmp_path):
    with beam.Pipeline(options=options) as pipeline:
        _ = pipeline | beam.Create([str(tmp_path)]) | beam.ParDo(Describe())
    assert (tmp_path / "process").read_text() == "-m components.records.local_worker"


def test_what_fails_in_a_process_fails_here(options):
    pipeline = beam.Pipeline(options=options)
    _ = pipeline | beam.Create(["x"]) | beam.ParDo(Fail())
    with pytest.raises(RuntimeError, match="no such thing"):
        pipeline.run().wait_until_finish()
