"""The card's sections about training: recipe, hardware, work, time, cost and energy."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from albert_core.artifacts.manifest import Manifest
from albert_core.checkpoints.trained_length import TRAINED_LENGTH
from albert_core.config import AlbertConfig
from albert_core.finetuning.truncation import NUM_TRUNCATED
from albert_core.optimizers.settings import OptimizerConfig, without_unchanged
from albert_core.pretraining.config import PretrainingConfig
from albert_core.pretraining.objectives import has_detection
from albert_core.pretraining.phases import Phase
from components.export.card.config import CardConfig
from components.export.card.recorded_pretraining import pretraining_flops, recorded_pretraining
from components.export.card.sections import CardTable, Fact, Section, keep_known
from components.export.lineage import Lineage
from components.number_formats import format_exact, format_exact_percent, format_number
from components.pretraining_metrics import (
    DETECTION_METRICS,
    describe_ranks,
    detection_baseline,
    masked_lm_title,
    metrics_by_shown,
)

_HOUR_S = 3600.0
_PHASE_COLUMNS = (
    "Sequence length",
    "Steps planned",
    "Batch size",
    "Peak learning rate",
    "Warm-up steps",
    "Layers",
)


def finetuning_section(finetuned: Manifest | None) -> Section:
    """Return a section about the settings of a fine-tuning and its seconds; empty for None.

    Settings that another one replaced are left out. What was left out of the training data is
    counted there, too.
    """
    if finetuned is None:
        return Section(title="Fine-tuning")
    settings, metrics = finetuned.config["finetuning"], finetuned.metrics
    left_out = [
        (name.removeprefix("num_").replace("_", " ").capitalize(), number)
        for name, number in metrics.items()
        if name.startswith("num_left")
    ]
    return Section(
        title="Fine-tuning",
        facts=keep_known(
            ("Initialization", finetuned.config["initialization"]),
            ("Training examples", metrics["num_train"]),
            ("Files of the task", metrics.get("data_files")),
            *left_out,
            ("Optimizer", _optimizer(settings)),
            ("Peak learning rate", metrics["learning_rate"]),
            ("Batch size", metrics["batch_size"]),
            ("Steps of these weights", metrics["global_step"]),
            ("Epochs", _unless_replaced(settings, "num_epochs", by="num_train_steps")),
            ("Warm-up steps", settings["num_warmup_steps"]),
            ("Warm-up ratio", _unless_replaced(settings, "warmup_ratio", by="num_warmup_steps")),
            ("Longest input, in tokens", settings["sequence_length"]),
            ("Longest input of pretraining, where longer ones occur", metrics.get(TRAINED_LENGTH)),
            ("Training sequences beyond that", metrics.get("num_beyond_pretraining")),
            ("Training examples that lost tokens", metrics.get(NUM_TRUNCATED)),
            ("Precision", metrics.get("training_precision", settings["precision"])),
            ("Frozen", settings["frozen"]),
            ("Seeds", metrics.get("num_seeds", 1)),
            # As text: a seed is a name, not a quantity that wants commas.
            ("Seed of these weights", str(metrics["seed"])),
            ("Seconds of the process that finished it, all seeds", finetuned.seconds),
        ),
    )


def _unless_replaced(settings: Mapping[str, Any], name: str, *, by: str) -> Any:
    """Return a setting; None if the setting that takes its place is set."""
    return settings[name] if settings[by] is None else None


def _optimizer(settings: Mapping[str, Any]) -> str:
    """Return the name of the optimizer with its settings that differ from the original's.

    Args:
        settings: Settings of a training, by name; those of the optimizer may be all, or only the
            recorded ones.
    """
    name, changed = settings["optimizer"], without_unchanged(settings)
    details = [
        f"{field.name} {str(changed[field.name]).lower()}"
        for field in dataclasses.fields(OptimizerConfig)
        if field.name in changed and field.name != "optimizer"
    ]
    return f"{name} ({', '.join(details)})" if details else name


def pretraining_section(
    lineage: Lineage, architecture: AlbertConfig | None, card: CardConfig
) -> Section:
    """Return a section about a pretraining: settings, accuracy, work, time and cost, and phases.

    Empty without a manifest of pretraining.

    Args:
        lineage: Manifests of the pretraining and of its records.
        architecture: Gives the FLOPs, which are left out if it is None.
        card: Gives cost and energy.

    Raises:
        InputError: The settings in the manifest are not those of this version.
    """
    manifest = lineage.pretrained
    if manifest is None:
        return Section(title="Pretraining")
    config, phases = recorded_pretraining(manifest)
    metrics = manifest.metrics
    return Section(
        title="Pretraining",
        facts=[
            *_recipe(config, manifest),
            *keep_known(
                ("Steps of these weights", metrics["global_step"]),
                ("Stopped early by", metrics.get("stopped_by")),
                *_detection_facts(metrics),
                (
                    f"Held-out {_lower_first(masked_lm_title(metrics))}",
                    format_exact_percent(metrics["masked_lm_accuracy"]),
                ),
                *_shown_facts(metrics),
                ("Of always guessing the most frequent token", _baseline(lineage.records)),
                (
                    "Held-out sentence order accuracy",
                    format_exact_percent(metrics["sentence_order_accuracy"]),
                ),
                ("Effective rank of the outputs at the last evaluation", describe_ranks([metrics])),
                ("Longest sequences trained on, in tokens", metrics.get(TRAINED_LENGTH)),
                ("Hardware", metrics["strategy"]),
                ("Tokens trained on", metrics["num_tokens"]),
                ("Epochs", metrics["num_epochs"]),
                ("Tokens per second", metrics["tokens_per_second"]),
                (
                    "Model FLOPs",
                    architecture
                    and format_number(
                        pretraining_flops(manifest, lineage.records, architecture), digits=3
                    ),
                ),
            ),
            *_time_and_cost(metrics["num_tokens"], metrics["tokens_per_second"], card),
        ],
        table=_phases_table(phases),
    )


def _detection_facts(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return held-out metrics and loss of the replaced-token detection, and its baseline.

    The baseline is the accuracy of taking no token for replaced. Empty for masked LM alone.
    """
    if not has_detection(metrics):
        return []
    facts = [
        (f"Held-out {_lower_first(words)}", format_exact_percent(metrics[name]))
        for name, words in DETECTION_METRICS.items()
        if name in metrics
    ]
    return [
        *facts,
        ("Held-out loss of the detection", format_exact(metrics["replaced_token_loss"])),
        (
            "Accuracy of taking no token for replaced",
            format_exact_percent(round(detection_baseline(metrics), 4)),
        ),
    ]


def _lower_first(text: str) -> str:
    return text[0].lower() + text[1:]


def _objective(config: PretrainingConfig) -> str:
    """Return the objective in words: masked LM or replaced-token detection, and sentence order.

    For replaced-token detection also the size of the generator and the weight of the detection's
    loss.
    """
    if not config.detects_replaced_tokens:
        return "masked language modelling and sentence order"
    detection = config.replaced_token_detection
    return (
        "replaced-token detection and sentence order (generator of size "
        f"{format_exact(detection.generator_size)}, loss weight "
        f"{format_exact(detection.loss_weight)})"
    )


def _shown_facts(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return masked-LM accuracy, loss and fraction of the predictions by what the model is shown.

    The last fact is how the masks were drawn. What `metrics` lacks is left out.
    """
    facts = [
        (
            f"Held-out masked LM accuracy, {words}",
            f"{format_exact_percent(accuracy)}, loss {format_exact(loss)}, of "
            f"{format_exact_percent(fraction)} of the predictions",
        )
        for words, fraction, loss, accuracy in metrics_by_shown(metrics)
    ]
    return [*facts, *([("Masks", metrics["masking"])] if "masking" in metrics else [])]


def _schedule(config: PretrainingConfig) -> str:
    """Return the name of the schedule with its settings that are not 0."""
    settings = (f"{name} {value:g}" for name, value in config.schedule_settings.items() if value)
    return f"{config.schedule} ({', '.join(settings)})"


def _recipe(config: PretrainingConfig, manifest: Manifest) -> list[Fact]:
    """Return the settings that hold in all phases of a pretraining, and the initial weights."""
    masking, scale = config.masking, config.residual_init_scale
    start = manifest.inputs.get("init_checkpoint")
    return keep_known(
        ("Initial weights", f"of the model with the hash {start[:16]}" if start else "random"),
        ("Objective", _objective(config)),
        ("Scale of the initial residual kernels", scale if scale != 1 else None),
        ("Optimizer", _optimizer(dataclasses.asdict(config))),
        ("Decay of the averaged weights", config.ema_decay),
        ("Learning-rate schedule", _schedule(config)),
        ("Minutes of the schedule", config.train_minutes),
        ("Tokens that are predicted", format_exact_percent(masking.mask_probability)),
        ("Longest masked n-gram, in words", masking.max_ngram),
        ("Weight of the sentence-order loss", config.sentence_order_weight),
        ("Precision", manifest.metrics["precision"]),
        ("Seed", str(config.seed)),
    )


def _baseline(records: Sequence[Manifest]) -> str | None:
    """Return the most frequent token's percentage in the last records; None without records."""
    if not records:
        return None
    return format_exact_percent(records[-1].metrics["most_frequent_fraction"])


def _phases_table(phases: Sequence[Phase]) -> CardTable:
    """Return a table of the settings that may differ between phases, a row for each in order.

    The number of layers is empty unless a phase sets one; then it is "all" in those that do not.
    """
    grows = any(phase.num_hidden_layers for phase in phases)
    rows = [
        (
            phase.sequence_length,
            phase.num_train_steps,
            phase.batch_size,
            phase.learning_rate,
            phase.num_warmup_steps,
            phase.num_hidden_layers or ("all" if grows else None),
        )
        for phase in phases
    ]
    return CardTable.from_values(_PHASE_COLUMNS, rows)


def _time_and_cost(num_tokens: int, tokens_per_second: float, card: CardConfig) -> list[Fact]:
    """Return the hours of training, and as far as known the cost and the energy.

    Cost and estimated energy are the hours times `price_per_hour` and `watts`; measured energy is
    `energy_kwh` as it is. If `tokens_per_second` is 0, the list is empty.
    """
    if not tokens_per_second:
        return []
    hours = num_tokens / tokens_per_second / _HOUR_S
    price, energy = card.price_per_hour, card.energy_kwh
    cost = None if price is None else hours * price
    estimate = None if card.watts is None else hours * card.watts / 1000
    return keep_known(
        ("Hours of training", format_number(hours, digits=3)),
        ("Cost", _format_with_rate(cost, card.currency, price, "an hour")),
        ("Energy, measured", None if energy is None else f"{format_exact(energy)} kWh"),
        ("Energy, estimated", _format_with_rate(estimate, "kWh", card.watts, "W")),
    )


def _format_with_rate(
    value: float | None, unit: str, rate: float | None, rate_unit: str
) -> str | None:
    """Return a value and the price per hour or power it follows from; None if it is not known."""
    if value is None:
        return None
    return f"{format_number(value, digits=3)} {unit}, at {format_exact(rate)} {rate_unit}"
