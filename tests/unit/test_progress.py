"""A file of events is read whatever is in it, and keeps what earlier runs finished."""

import json

import pytest

from albert_core.progress import append_event, keep_finished_events, read_events

STARTED = {"time": 1.5, "step": "vocab", "event": "started"}
PROGRESS = {**STARTED, "event": "progress", "done": 1, "total": 2, "text": ""}
FAILED = {**STARTED, "event": "failed", "message": "no", "is_bad_input": True}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


@pytest.mark.parametrize(
    "line",
    [
        *("", "null", "[]", "5", "{", '"started"', "[" * 9999, "\x00"),
        *(
            json.dumps(value)
            for value in (
                {},
                {**STARTED, "event": "ended"},
                {**STARTED, "event": ["started"]},
                {**STARTED, "step": None},
                {**STARTED, "time": "now"},
                {**STARTED, "time": float("nan")},
                {**PROGRESS, "done": None},
                {**PROGRESS, "done": "1"},
                {**PROGRESS, "total": 10**400},
                {**PROGRESS, "done": -1},
                {**PROGRESS, "text": 5},
                {**FAILED, "message": None},
                {**FAILED, "is_bad_input": "no"},
            )
        ),
    ],
)
def test_a_line_that_is_no_event_is_passed_over(line, path):
    lines = [json.dumps(STARTED), line, json.dumps(FAILED), '{"half": ']
    path.write_text("\n".join(lines))
    assert read_events(path) == [STARTED, FAILED]


def finished(step):
    return [{"time": 1.0, "step": step, "event": kind} for kind in ("started", "finished")]


def test_what_an_earlier_run_finished_and_this_one_did_not_repeat_is_kept(path):
    failed = {"message": "no", "is_bad_input": False, **finished("report")[0], "event": "failed"}
    earlier = [*finished("vocab"), *finished("records"), finished("pretrain")[0], failed]
    append_event(path, step="records", event="started")
    append_event(path, step="records", event="finished")
    keep_finished_events(path, earlier)
    steps = [(event["step"], event["event"]) for event in read_events(path)]
    assert steps == [
        *[("vocab", kind) for kind in ("started", "finished")],
        *[("records", kind) for kind in ("started", "finished")],
    ]


def test_the_events_of_a_run_that_was_cached_whole_keep_their_bytes(path):
    for kind in ("started", "finished"):
        append_event(path, step="vocab", event=kind)
    before, earlier = path.read_bytes(), read_events(path)
    path.write_bytes(b"")
    keep_finished_events(path, earlier)
    assert path.read_bytes() == before
