"""A step that is tracked: the key by which it goes on, and a step that is not."""

from albert_core.progress import quiet
from albert_core.tracking import step
from albert_core.tracking.config import NO_TRACKING, TRACKING_VARIABLE
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
