"""The pretraining program: data, model, optimizer, `fit`, held-out evaluation."""

import json
from pathlib import Path

import keras

from albert_core.config import AlbertConfig
from albert_core.model import AlbertForPreTraining, weights_by_name, write_weights
from albert_core.model.weights import WEIGHTS_NAME
from albert_core.optimization import make_optimizer
from albert_core.pretraining.config import CONFIG_NAME, HISTORY_NAME, PretrainingConfig
from albert_core.records.dataset import PretrainingData
from albert_core.records.description import RecordsDescription
from albert_core.runs.manifest import Figures
from albert_core.runs.progress import ReportProgress, quiet
from albert_core.tokenization import Tokenizer
from albert_core.training.loop import best_row, fit_resumably

EVALUATION_METRICS = (
    "masked_lm_accuracy",
    "masked_lm_loss",
    "sentence_order_accuracy",
    "sentence_order_loss",
    "loss",
)


def run_pretraining(
    *,
    records: RecordsDescription,
    tokenizer: Tokenizer,
    model_config: AlbertConfig,
    config: PretrainingConfig,
    results: Path,
    checkpoints: Path,
    progress: ReportProgress = quiet,
) -> Figures:
    """Pretrain on a records folder and write the best model into `results`.

    Args:
        records: What there is to read.
        tokenizer: The vocabulary of those records.
        model_config: The architecture.
        config: How to train.
        results: Receives configuration, weights, vocabulary, metrics.jsonl, eval_results.txt.
        checkpoints: Keeps the checkpoints; a killed run continues from the newest.
        progress: Told how far it is.

    Returns:
        The original's evaluation metrics on the held-out records, and sizes and speed.
    """
    keras.utils.set_random_seed(config.seed)
    data = PretrainingData.of_records(
        records, masking=config.masking, tokenizer=tokenizer, seed=config.seed
    )
    model = AlbertForPreTraining(model_config)
    model.compile(
        optimizer=make_optimizer(
            config.optimizer,
            learning_rate=config.learning_rate,
            num_train_steps=config.num_train_steps,
            num_warmup_steps=config.num_warmup_steps,
            start_warmup_step=config.start_warmup_step,
            poly_power=config.poly_power,
        ),
        jit_compile=config.jit_compile,
    )
    held_out = data.held_out_batches(config.batch_size)
    state = fit_resumably(
        model,
        batches_from=lambda step: data.train_batches(config.batch_size, start_step=step),
        evaluate=lambda: evaluate_held_out(model, held_out),
        plan=config.plan(),
        folder=checkpoints,
        progress=progress,
    )
    best = best_row(state.history, "masked_lm_accuracy")
    _write_results(results, model, tokenizer, state.history, best)
    num_tokens = config.num_train_steps * config.batch_size * records.sequence_length
    return {
        **{name: round(best[name], 4) for name in (*EVALUATION_METRICS, "global_step")},
        "num_parameters": int(sum(weight.shape.num_elements() for weight in model.weights)),
        "num_epochs": round(
            config.num_train_steps * config.batch_size / records.num_train_records, 2
        ),
        "tokens_per_second": round(num_tokens / state.seconds),
    }


def evaluate_held_out(model: keras.Model, batches: object) -> dict[str, float]:
    """Return the original's evaluation metrics, without global_step."""
    metrics = model.evaluate(batches, return_dict=True, verbose=0)
    return {name: float(metrics[name]) for name in EVALUATION_METRICS}


def _write_results(
    results: Path,
    model: AlbertForPreTraining,
    tokenizer: Tokenizer,
    history: list[dict[str, float]],
    best: dict[str, float],
) -> None:
    model.config.to_json_file(results / CONFIG_NAME)
    tokenizer.save(results)
    write_weights(results / WEIGHTS_NAME, weights_by_name(model))
    lines = "".join(json.dumps(row) + "\n" for row in history)
    (results / HISTORY_NAME).write_text(lines, encoding="utf-8")
    names = sorted((*EVALUATION_METRICS, "global_step"))
    text = "".join(f"{name} = {best[name]}\n" for name in names)
    (results / "eval_results.txt").write_text(text, encoding="utf-8")
