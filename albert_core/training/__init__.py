"""What pretraining and fine-tuning share: a resumable `fit`, its checkpoints and its callbacks."""

from albert_core.training.loop import TrainingPlan, fit_resumably

__all__ = ["TrainingPlan", "fit_resumably"]
