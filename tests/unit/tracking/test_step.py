"""A step that is tracked: the key by which it goes on, and a step that is not."""

import contextlib

import pytest

from albert_core.errors import StepFailedError, StoppedError
from albert_core.progress import quiet
from albert_core.tracking import step, worker
from albert_core.tracking.config import NO_TRACKING, TRACKING_VARIABLE, TrackingConfig
from albert_core.tracking.step import RUN_FILE, tracked_step


def test_work_that_goes_on_has_the_key_it_began_with(tmp_path, capsys):
    key = step._run_key(tmp_path, "work")
    assert step._run_key(tmp_path, "work") == key
    assert not capsys.readouterr().err
    other = step._run_key(tmp_path, "other work")
    assert other != key
    assert "belongs to other work); a new tracked run begins" in capsys.readouterr().err
    (tmp_path / RUN_FILE).write_text("{")
    assert step._run_key(tmp_path, "work") not in (key, other)
    assert "a new tracked run begins" in capsys.readouterr().err


def test_a_step_that_is_not_tracked_starts_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.delenv(TRACKING_VARIABLE, raising=False)
    monkeypatch.setattr(step, "TrackingClient", None)
    with tracked_step(
        NO_TRACKING,
        step="pretrain",
        settings={},
        places={},
        output=tmp_path / "out",
        folder=tmp_path,
        work="work",
        progress=quiet,
    ) as tracker:
        tracker.log_row(1, {"loss": 1.0})
        tracker.log_scores({"accuracy": 1.0})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, "finished"),
        (StepFailedError("the loss is nan"), "failed"),
        (StoppedError("stopped by SIGTERM after 3 steps; they are saved"), "interrupted"),
        (KeyboardInterrupt(), "interrupted"),
    ],
)
def test_how_a_step_ended_is_what_its_tracked_run_says(error, status, tmp_path, monkeypatch):
    closed = []

    class Client:
        def __init__(self, *_, **__):
            pass

        def close(self, status):
            closed.append(status)

    monkeypatch.setattr(step, "TrackingClient", Client)
    config = TrackingConfig(to="tensorboard", address=str(tmp_path / "curves"))
    options = {"settings": {}, "places": {}, "work": "work", "progress": quiet}
    with (
        contextlib.suppress(StepFailedError, KeyboardInterrupt),
        tracked_step(config, step="pretrain", output=tmp_path / "out", folder=tmp_path, **options),
    ):
        if error:
            raise error
    assert closed == [status]


def test_why_a_server_is_not_reached_is_told_where_a_client_hides_it():
    def call():
        try:
            raise ConnectionRefusedError(111, "Connection refused")
        except OSError as error:
            raise RuntimeError(f"API request failed with exception {error}")  # noqa: B904

    with pytest.raises(RuntimeError) as caught:
        call()
    assert worker._describe(caught.value) == "nothing listens there; check host and port"
