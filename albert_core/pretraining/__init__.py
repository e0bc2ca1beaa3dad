"""Pretraining: masked language modelling and sentence order on compact records."""

from albert_core.pretraining.program import PretrainingConfig, run_pretraining

__all__ = ["PretrainingConfig", "run_pretraining"]
