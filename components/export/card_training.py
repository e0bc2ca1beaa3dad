"""What a card says of training: recipe, hardware, work, time, cost, energy."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from albert_core.artifacts.manifest import Manifest
from albert_core.config import AlbertConfig
from albert_core.pretraining.config import Phase, PretrainingConfig
from albert_core.records.config import MaskingConfig, RecordsConfig
from albert_core.settings import parse_settings, plain_values
from albert_core.training.flops import training_flops_per_token
from components.export.card_config import CardConfig
from components.export.card_sections import Fact, Section, Table, exact, present, rounded, share
from components.export.lineage import Lineage

_HOUR_S = 3600.0


def finetuning_section(tuned: Manifest | None) -> Section:
    """Return the recipe of a fine-tuning and what it took."""
    if tuned is None:
        return Section(title="Fine-tuning")
    settings, figures = tuned.config["finetuning"], tuned.metrics
    left_out = [(k.removeprefix("num_"), v) for k, v in figures.items() if k.startswith("num_left")]
    return Section(
        title="Fine-tuning",
        facts=present(
            ("Initialization", tuned.config["initialization"]),
            ("Training examples", figures["num_train"]),
            *((name.replace("_", " ").capitalize(), value) for name, value in left_out),
            ("Optimizer", settings["optimizer"]),
            ("Peak rate", figures["learning_rate"]),
            ("Examples in an update", figures["batch_size"]),
            ("Updates of these weights", figures["global_step"]),
            ("Passes over the training set", _unless(settings, "num_train_steps", "num_epochs")),
            ("Warm-up, updates", settings["num_warmup_steps"]),
            (
                "Warm-up, share of the updates",
                _unless(settings, "num_warmup_steps", "warmup_ratio"),
            ),
            ("Longest input, in pieces", settings["sequence_length"]),
            ("Precision", settings["precision"]),
            ("Frozen", settings["frozen"]),
            ("Seeds", figures.get("num_seeds", 1)),
            ("Seed of these weights", str(figures["seed"])),
            ("Seconds of the process that finished it, all seeds", tuned.seconds),
        ),
    )


def _unless(settings: Any, other: str, name: str) -> Any:
    """Return a setting, if the one that takes its place is not set."""
    return settings[name] if settings[other] is None else None


def pretraining_section(lineage: Lineage, model: AlbertConfig | None, card: CardConfig) -> Section:
    """Return the recipe of a pretraining, its accuracy, and what it took."""
    manifest = lineage.pretrained
    if manifest is None:
        return Section(title="Pretraining")
    config = _config_of(manifest)
    phases = config.resolved_phases(_default_length(manifest))
    figures = manifest.metrics
    return Section(
        title="Pretraining",
        facts=[
            *_recipe(config, manifest),
            *present(
                ("Updates of these weights", figures["global_step"]),
                ("Stopped early by", figures.get("stopped_by")),
                ("Held-out masked LM accuracy", share(figures["masked_lm_accuracy"])),
                ("Of always guessing the most frequent piece", _baseline(lineage.records)),
                ("Held-out sentence order accuracy", share(figures["sentence_order_accuracy"])),
                ("Hardware", figures["strategy"]),
                ("Tokens trained on", figures["num_tokens"]),
                ("Passes over the records", figures["num_epochs"]),
                ("Tokens per second", figures["tokens_per_second"]),
                ("Model FLOPs", model and _flops(phases, config, lineage, model)),
            ),
            *_spent(figures["num_tokens"], figures["tokens_per_second"], card),
        ],
        table=_phases_table(phases),
    )


def _config_of(manifest: Manifest) -> PretrainingConfig:
    values = plain_values(manifest.config["pretraining"])
    return parse_settings(PretrainingConfig, values, source="manifest of pretrain")


def _schedule(config: PretrainingConfig) -> str:
    settings = (f"{name} {value:g}" for name, value in config.schedule_settings.items() if value)
    return f"{config.schedule} ({', '.join(settings)})"


def _default_length(manifest: Manifest) -> int:
    """Return the sequence length of a run without phases, which has records of one length."""
    names = [name for name in manifest.inputs if name.startswith("records ")]
    return int(names[0].removeprefix("records "))


def _recipe(config: PretrainingConfig, manifest: Manifest) -> list[Fact]:
    masking = config.masking
    start = manifest.inputs.get("init_checkpoint")
    return present(
        ("Weights at the start", f"of the model with the hash {start[:16]}" if start else "random"),
        ("Optimizer", config.optimizer),
        ("Schedule of the rate", _schedule(config)),
        ("Share of the pieces that are predicted", share(masking.mask_probability)),
        ("Longest masked run, in words", masking.max_ngram),
        ("Precision", manifest.metrics["precision"]),
        ("Seed", str(config.seed)),
    )


def _baseline(records: Sequence[Manifest]) -> str | None:
    return share(records[-1].metrics["most_frequent_fraction"]) if records else None


def _phases_table(phases: Sequence[Phase]) -> Table:
    columns = ("Sequence length", "Updates planned", "Batch", "Peak rate", "Warm-up updates")
    return Table.of(
        columns,
        [
            (
                phase.sequence_length,
                phase.num_train_steps,
                phase.batch_size,
                phase.learning_rate,
                phase.num_warmup_steps,
            )
            for phase in phases
        ],
    )


def _flops(
    phases: Sequence[Phase], config: PretrainingConfig, lineage: Lineage, model: AlbertConfig
) -> str:
    """Return the FLOPs of the matrix products, by the formula, for the tokens of each phase."""
    num_tokens = lineage.pretrained.metrics["num_tokens"] if lineage.pretrained else 0
    total = sum(
        own * training_flops_per_token(model, length, masking.max_predictions(length))
        for own, length, masking in _work(phases, num_tokens, config, lineage.records)
    )
    return rounded(total)


def _work(
    phases: Sequence[Phase],
    num_tokens: int,
    config: PretrainingConfig,
    records: Sequence[Manifest],
) -> Iterator[tuple[int, int, MaskingConfig]]:
    """Yield tokens, sequence length and masking of each phase; an early stop cuts the last."""
    static = _static_masking(records)
    ends = itertools.accumulate(phase.num_tokens for phase in phases)
    begins = itertools.accumulate((phase.num_tokens for phase in phases), initial=0)
    for phase, begin, end in zip(phases, begins, ends, strict=False):
        length = phase.sequence_length
        yield max(0, min(num_tokens, end) - begin), length, static.get(length, config.masking)


def _static_masking(records: Sequence[Manifest]) -> dict[int, MaskingConfig]:
    """Return how static records were masked, by their length; readers mask all others."""
    configs = [
        parse_settings(
            RecordsConfig, plain_values(m.config["records"]), source="manifest of records"
        )
        for m in records
    ]
    return {c.sequence_length: c.static_masking for c in configs if c.format == "static"}


def _spent(num_tokens: int, tokens_per_second: float, card: CardConfig) -> list[Fact]:
    """Return time, cost and energy; the last two of what people know of the machine."""
    if not tokens_per_second:
        return []
    hours = num_tokens / tokens_per_second / _HOUR_S
    price, energy = card.price_per_hour, card.energy_kwh
    cost = None if price is None else hours * price
    estimate = None if card.watts is None else hours * card.watts / 1000
    return present(
        ("Hours of training", rounded(hours)),
        ("Cost", _with_unit(cost, card.currency, price, "an hour")),
        ("Energy, measured", None if energy is None else f"{exact(energy)} kWh"),
        ("Energy, estimated", _with_unit(estimate, "kWh", card.watts, "W")),
    )


def _with_unit(value: float | None, unit: str, rate: float | None, per: str) -> str | None:
    """Write a product of the hours with the rate it comes from."""
    return None if value is None else f"{rounded(value)} {unit}, at {exact(rate)} {per}"
