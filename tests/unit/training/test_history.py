"""Which evaluation of a training is the best: the one whose weights are published."""

from albert_core.training.history import HISTORY_NAME, best_row, read_history, write_history


def row(step: int, phase: int, accuracy: float) -> dict[str, float]:
    return {"global_step": step, "phase": phase, "masked_lm_accuracy": accuracy}


def test_the_best_row_is_one_of_the_last_phase_even_if_an_earlier_phase_was_better():
    history = [row(10, 0, 0.9), row(20, 0, 0.8), row(30, 1, 0.5), row(40, 1, 0.6), row(50, 1, 0.4)]
    assert best_row(history, "masked_lm_accuracy")["global_step"] == 40


def test_the_earlier_row_wins_a_tie():
    history = [row(10, 0, 0.5), row(20, 0, 0.5)]
    assert best_row(history, "masked_lm_accuracy")["global_step"] == 10


def test_rows_without_phases_are_of_one_phase():
    history = [{"global_step": 1, "accuracy": 0.7}, {"global_step": 2, "accuracy": 0.6}]
    assert best_row(history, "accuracy")["global_step"] == 1


def test_what_is_written_is_read_again(tmp_path):
    history = [row(10, 0, 0.9), row(20, 1, 0.8)]
    write_history(tmp_path, history)
    assert read_history(tmp_path) == history


def test_rows_of_earlier_versions_get_todays_names(tmp_path):
    (tmp_path / HISTORY_NAME).write_text('{"global_step": 1, "kept_share": 0.1, "f1_deviation": 2}')
    assert read_history(tmp_path) == [{"global_step": 1, "unchanged_fraction": 0.1, "f1_std": 2}]
