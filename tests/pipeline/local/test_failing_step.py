"""A step that fails in a DAG of kfp's local runner: tried again as set, the others unharmed."""

from pathlib import Path

import pytest
from kfp import dsl, local

from components.image import component

pytestmark = pytest.mark.filterwarnings("ignore")

NUM_RETRIES = 1
TRIES_NAME = "tries.txt"


@component("records")
def count_tries(job: dict, work_root: str, result: dsl.Output[dsl.Artifact]) -> None:
    """Keep each try as progress of a step; fail until there were more of them than `failures`."""
    from albert_core.artifacts.step import run_step

    def body(results, progress):  # type: ignore[no-untyped-def]
        tries = 1 + len(list(progress.iterdir()))
        (progress / f"try-{tries}").touch()
        if tries <= job["failures"]:
            raise RuntimeError("a fault that the test planted")
        (results / "tries.txt").write_text(f"{job['name']} {tries}")
        return {"tries": tries}

    config = {"name": job["name"]}
    run_step("tries", config=config, inputs={}, output=result.path, body=body, work_root=work_root)


@component("records")
def gather(results: dsl.Input[list[dsl.Artifact]], gathered: dsl.Output[dsl.Artifact]) -> None:
    """Put what all wrote into one file."""
    import pathlib

    texts = [(pathlib.Path(each.path) / "tries.txt").read_text() for each in results]
    pathlib.Path(gathered.path).write_text("\n".join(sorted(texts)))


@dsl.pipeline(name="failing")
def failing(jobs: list, work_root: str) -> dsl.Artifact:
    with dsl.ParallelFor(items=jobs, parallelism=2, name="jobs") as job:
        tried = count_tries(job=job, work_root=work_root).set_retry(NUM_RETRIES, "1s", 1.0, "1s")
    return gather(results=dsl.Collected(tried.outputs["result"])).outputs["gathered"]


def test_a_failing_step_is_tried_again_harms_no_other_and_the_next_run_goes_on(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("builtins.print", print)  # in whose place kfp's local runner leaves its own
    local.init(
        runner=local.SubprocessRunner(use_venv=False),
        pipeline_root=str(tmp_path / "artifacts"),
        enable_caching=True,
        cache_root=str(tmp_path / "cache"),
    )
    # The first never fails, the second once, the third more often than it is tried in one run.
    jobs = [{"name": name, "failures": n} for name, n in (("never", 0), ("once", 1), ("often", 3))]
    with pytest.raises(RuntimeError):
        failing(jobs=jobs, work_root=str(tmp_path / "work"))
    assert written(tmp_path / "artifacts") == ["never 1", "once 2"]
    assert len(list(tmp_path.glob("work/*/progress/try-*"))) == 1 + NUM_RETRIES  # of the third
    gathered = failing(jobs=jobs, work_root=str(tmp_path / "work")).output.path
    assert Path(gathered).read_text().splitlines() == ["never 1", "often 4", "once 2"]
    assert written(tmp_path / "artifacts") == ["never 1", "often 4", "once 2"]


def written(artifacts: Path) -> list[str]:
    return sorted(path.read_text() for path in artifacts.rglob(TRIES_NAME))
