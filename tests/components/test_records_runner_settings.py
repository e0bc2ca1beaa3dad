"""Settings of Beam's runners: what is refused with the reason, and what follows from the text."""

import os
import sys

import pytest

from albert_core.errors import InputError
from components.records.runners import RUNNERS, BeamConfig

# Beam and Dask leave sockets and files to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"runner": "dask"}, r"beam\.dask_scheduler"),
        ({"runner": "DataflowRunner"}, r"beam\.shared_folder"),
        ({"runner": "FlinkRunner", "mode": "in_memory"}, r"beam\.mode"),
        ({"num_workers": -1}, r"beam\.num_workers: got -1"),
        ({"dask_scheduler": "tcp://x:1"}, r"beam\.dask_scheduler"),
        ({"runner": "DaskRunner"}, r"beam\.runner: got 'DaskRunner', expected local, dask, fli"),
        ({"runner": "Flnk", "shared_folder": "gs://b/w"}, r"beam\.runner: got 'Flnk', expected"),
        ({"runner": ""}, r"beam\.runner: got ''"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        BeamConfig(**settings)


def test_the_runners_of_beam_are_known_by_all_their_names():
    from apache_beam.runners.runner import _RUNNER_MAP

    assert set(RUNNERS) == set(_RUNNER_MAP)
    for name in ("FlinkRunner", "portable", "my.package.Runner"):
        assert BeamConfig(runner=name, shared_folder="gs://b/w").runner == name


def test_dataflow_without_its_packages_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "apitools", None)
    beam = BeamConfig(runner="DataflowRunner", shared_folder="gs://b/w")
    with pytest.raises(InputError, match=r"needs the package apitools.*\[dataflow\]"):
        beam.options_for(num_bytes=1, num_splits=1)


@pytest.mark.parametrize(
    ("runner", "said"),
    [
        ("no_such_package.Runner", "No module named 'no_such_package'"),
        ("apache_beam.runners.NoRunner", "no attribute 'NoRunner'"),
        ("collections.OrderedDict", "no runner of Beam's"),
    ],
)
def test_a_class_that_is_no_runner(runner, said):
    beam = BeamConfig(runner=runner, shared_folder="gs://b/w")
    with pytest.raises(InputError, match=said):
        beam.options_for(num_bytes=1, num_splits=1)


@pytest.mark.parametrize(
    ("parts", "is_dask"),
    [
        ([b"\x20\0\0", b"\0\0\0\0\0greeting"], True),
        ([b"SSH-2.0-OpenSSH"], False),
        ([b"\x20\0"], False),
    ],
)
def test_what_a_scheduler_says_first_may_come_in_parts(parts, is_dask):
    from components.records.dask_cluster import _is_greeted

    class Connection:
        def recv(self, size):
            part = parts.pop(0) if parts else b""
            if part[size:]:
                parts.insert(0, part[size:])
            return part[:size]

    assert _is_greeted(Connection()) == is_dask


def test_processes_are_started_only_for_text_that_is_worth_them():
    little = BeamConfig().options_for(num_bytes=1000, num_splits=1).get_all_options()
    much = BeamConfig().options_for(num_bytes=10**9, num_splits=60).get_all_options()
    assert little["direct_running_mode"] == "in_memory"
    cores = len(os.sched_getaffinity(0))
    assert much["direct_num_workers"] == cores
    assert much["direct_running_mode"] == ("multi_processing" if cores > 1 else "in_memory")
