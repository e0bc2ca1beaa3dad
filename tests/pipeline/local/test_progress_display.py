"""What a local run shows while it goes on, elsewhere than on a terminal."""

import io
import re

import pytest
import rich.console
import rich.text

from albert_core.progress import append_event
from pipeline.local.progress_display import _ProgressBars, show_progress


@pytest.fixture
def events(tmp_path):
    path = tmp_path / "events.jsonl"
    path.touch()
    return path


def shown_lines(capsys):
    """Return the lines that were printed, without the time of day."""
    return [line.split(maxsplit=1)[1] for line in capsys.readouterr().out.splitlines()]


def test_a_step_has_a_line_when_it_starts_and_when_it_ends(events, capsys):
    with show_progress(events):
        append_event(events, step="vocab", event="started")
        append_event(events, step="vocab", event="finished")
        append_event(events, step="finetune cola", event="started")
        append_event(events, step="finetune cola", event="failed")
    vocab_started, vocab_done, cola_started, cola_failed = shown_lines(capsys)
    assert vocab_started.split() == ["vocab", "started"]
    assert vocab_done.split() == ["vocab", "done", "in", "0.0", "s"]
    assert cola_started.split() == ["finetune", "cola", "started"]
    assert cola_failed.split() == ["finetune", "cola", "failed"]


def test_progress_that_follows_within_ten_seconds_is_left_out(events, capsys):
    with show_progress(events):
        for done in (1, 2, 3):
            append_event(events, step="vocab", event="progress", done=done, total=4, text="x")
    (line,) = shown_lines(capsys)
    assert line.endswith("1 of 4 (25%), x")


def fail_after_an_event(events):
    with show_progress(events):
        append_event(events, step="vocab", event="started")
        raise RuntimeError("of the body")


def test_what_was_written_last_is_shown_even_if_the_body_fails(events, capsys):
    with pytest.raises(RuntimeError, match="of the body"):
        fail_after_an_event(events)
    assert len(shown_lines(capsys)) == 1


def test_whoever_follows_is_told_when_a_step_has_finished(events):
    calls = []
    with show_progress(events, on_finished=lambda: calls.append(1)):
        append_event(events, step="vocab", event="started")
    assert calls == []
    with show_progress(events, on_finished=lambda: calls.append(1)):
        append_event(events, step="vocab", event="finished")
    assert calls == [1]


@pytest.mark.parametrize("width", [80, 120])
def test_bars_keep_time_left_and_position_on_a_terminal(width):
    text = "masked_lm_accuracy 0.2461, sentence_order_accuracy 0.6831, loss 5.1034"
    console = rich.console.Console(width=width, force_terminal=True, file=io.StringIO())
    bars = _ProgressBars(console)
    for step in ("pretrain", "finetune race-middle random-weights"):
        bars.show({"event": "started", "step": step})
        progress = {"event": "progress", "step": step, "done": 1200, "total": 4000, "text": text}
        bars.show(progress)
    with console.capture() as captured:
        console.print(bars._bars)
    plain = rich.text.Text.from_ansi(captured.get()).plain
    first, second = plain.splitlines()
    assert len(first) <= width
    for line in (first, second):
        assert re.search(r"━+.* 0:00:00 +-:--:-- +1,200 of 4,000 \(30%\)", line), line
        assert line.rstrip().endswith(("…", "5.1034"))
    assert first.startswith("pretrain ")
    assert second.startswith("finetune race-mid")
