"""Sessions of training whose steps are reported, not made."""

import types
from pathlib import Path
from typing import Any

import keras

from albert_core.config import AlbertConfig
from albert_core.model import AlbertForPreTraining
from albert_core.optimizers.factory import make_optimizer
from albert_core.training.callbacks.step_counter import StepCounter
from albert_core.training.plan import TrainingPlan
from albert_core.training.session import TrainingSession
from albert_core.training.state import TrainingState

SIZES = {
    "vocab_size": 20,
    "embedding_size": 4,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
}


def new_model(**settings: Any) -> keras.Model:
    """Return a model with LAMB and further settings of it."""
    model = AlbertForPreTraining(AlbertConfig(**SIZES))
    model.compile(
        make_optimizer("lamb", learning_rate=0.1, num_train_steps=9, num_warmup_steps=0, **settings)
    )
    model.optimizer.build(model.trainable_variables)
    return model


def new_session(folder: Path, model: Any = None, **settings: Any) -> TrainingSession:
    """Return a session of two phases of 20 and 10 steps with an evaluation every 10."""
    plan = TrainingPlan(
        **{"phase_steps": (20, 10), "interval_steps": 10, "monitor": "accuracy", **settings}
    )
    model = model or types.SimpleNamespace(stop_training=False, jax_state_sync=lambda: None)
    return TrainingSession(model, TrainingState(), plan, folder)


def run_steps(session: TrainingSession, *callbacks: keras.callbacks.Callback, to: int) -> None:
    """Report a step with the loss 5 to the callbacks, until the session is at step `to`."""
    while session.state.step < to:
        for callback in (StepCounter(session), *callbacks):
            callback.on_train_batch_end(0, {"loss": 5.0})


def evaluated(step: int, accuracy: float, phase: int = 0) -> dict[str, float]:
    return {"global_step": step, "phase": phase, "accuracy": accuracy}
