"""The trainings that a grid and a number of seeds ask for."""

from albert_core.finetuning.config import FinetuningConfig


def test_every_rate_batch_size_and_seed_is_tried_in_this_order():
    config = FinetuningConfig(
        seed=5, num_seeds=2, grid_learning_rates=(1e-4, 1e-5), grid_batch_sizes=(8, 16)
    )
    trials = [(trial.learning_rate, trial.batch_size, trial.seed) for trial in config.trials()]
    assert trials == [
        (rate, size, seed) for rate in (1e-4, 1e-5) for size in (8, 16) for seed in (5, 6)
    ]
    assert {trial.num_seeds for trial in config.trials()} == {1}


def test_a_grid_for_small_training_sets_leaves_large_ones_alone():
    config = FinetuningConfig(
        learning_rate=1e-4,
        grid_learning_rates=(1e-3, 1e-5),
        grid_batch_sizes=(8, 16),
        grid_max_examples=100,
    )
    assert len(config.trials(num_examples=100)) == 4
    (trial,) = config.trials(num_examples=101)
    assert (trial.learning_rate, trial.batch_size) == (1e-4, config.batch_size)
