"""Containers that Flink and Spark start see no folder of their machine: told before any work."""

import pytest

from albert_core.corpus import CorpusConfig
from albert_core.errors import InputError
from albert_core.records.config import RecordsConfig
from components.records.runners import BeamConfig
from components.records.step import make_records
from pipeline.config import RunConfig
from tests.helpers.fakes.engine_cluster import IMAGE, WORK

FLINK = {"runner": "flink", "flink_master": "host:8081", "environment_config": IMAGE}
SPARK = {"runner": "spark", "spark_master": "spark://host:7077", "environment_config": IMAGE}


@pytest.mark.parametrize("engine", [FLINK, SPARK])
def test_a_local_folder_for_the_work_is_refused(engine):
    said = r"beam\.shared_folder: got /mnt/work with .*DOCKER, expected gs:// or s3://: the cont"
    with pytest.raises(InputError, match=said):
        BeamConfig(**engine, shared_folder="/mnt/work")


@pytest.mark.parametrize("engine", [FLINK, SPARK])
def test_a_local_corpus_is_refused_before_anything_is_looked_for(engine, tmp_path):
    beam = BeamConfig(**engine, **WORK)
    corpus = CorpusConfig(files=("s3://bucket/text/*", "nowhere/*"))
    said = r"corpus\.files: got nowhere/\* with beam\.environment_type=DOCKER, expected gs://"
    with pytest.raises(InputError, match=said):
        RunConfig(corpus=corpus, beam=beam)
    with pytest.raises(InputError, match=said):
        make_records(
            corpus=corpus,
            vocab=tmp_path / "none",
            config=RecordsConfig(),
            output=tmp_path / "out",
            beam=beam,
        )


@pytest.mark.parametrize(
    "settings",
    [
        {"environment_type": "EXTERNAL", "environment_config": "localhost:50000"},
        {"environment_type": "PROCESS", "environment_config": "/opt/apache/beam/boot"},
        {"options": ("--environment_type=LOOPBACK",)},
        {"options": ("--environment_type", "LOOPBACK")},
    ],
)
def test_workers_that_may_see_a_folder_get_it(settings):
    beam = BeamConfig(**{**FLINK, **settings}, shared_folder="/mnt/work")
    assert RunConfig(corpus=CorpusConfig(files=("/mnt/text",)), beam=beam).beam == beam
