"""The log of a training: which rows are read again."""

import json

from albert_core.training.log import LOG_NAME, TrainingLog, read_log


def test_rows_after_the_step_to_continue_from_and_half_a_line_are_dropped(tmp_path):
    rows = [{"global_step": step, "loss": 1.0} for step in (1, 2, 3)]
    text = "".join(json.dumps(row) + "\n" for row in rows) + '{"global_'
    (tmp_path / LOG_NAME).write_text(text)
    assert read_log(tmp_path) == rows
    TrainingLog(tmp_path, 2).append({"global_step": 3, "loss": 0.5})
    assert read_log(tmp_path) == [*rows[:2], {"global_step": 3, "loss": 0.5}]


def test_the_log_of_an_interrupted_run_of_an_earlier_version_can_be_continued(tmp_path):
    (tmp_path / LOG_NAME).write_text('{"global_step": 1, "input_wait_share": 0.25}\n')
    assert read_log(tmp_path) == [{"global_step": 1, "input_wait_fraction": 0.25}]


def test_a_folder_without_a_log_has_no_rows(tmp_path):
    assert read_log(tmp_path) == []
