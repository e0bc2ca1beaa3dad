"""What a manifest of pretraining recorded: its settings, its phases, and its work in FLOPs."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence

from albert_core.artifacts.manifest import Manifest
from albert_core.config import AlbertConfig
from albert_core.pretraining.config import PretrainingConfig
from albert_core.pretraining.phases import Phase
from albert_core.records.config import MaskingConfig, RecordsConfig
from albert_core.settings import parse_settings, plain_values
from albert_core.training.safeguards import without_unused_safeguards


def recorded_pretraining(manifest: Manifest) -> tuple[PretrainingConfig, Sequence[Phase]]:
    """Return the settings of a pretraining, and its phases.

    In a training by minutes these are the phases that began, with the steps that they were given;
    otherwise all phases of the settings.

    Raises:
        InputError: The settings in the manifest are not those of this version.
    """
    values = without_unused_safeguards(plain_values(manifest.config["pretraining"]))
    config = parse_settings(PretrainingConfig, values, source="manifest of pretrain")
    phases = config.resolved_phases(_first_sequence_length(manifest))
    return config, _settled_phases(phases, manifest.metrics.get("settled_phases"))


def _settled_phases(
    phases: Sequence[Phase], settled: Sequence[Mapping[str, int]] | None
) -> Sequence[Phase]:
    """Return the phases that began, with their steps and those of their warm-up.

    Args:
        phases: Phases as the settings have them.
        settled: In a training by minutes, the steps of each phase that began. None: the settings
            give the steps, and all phases are returned unchanged.
    """
    if settled is None:
        return phases
    return [
        dataclasses.replace(
            phase,
            num_train_steps=numbers["num_train_steps"],
            num_warmup_steps=numbers["num_warmup_steps"],
        )
        for phase, numbers in zip(phases, settled, strict=False)
    ]


def _first_sequence_length(manifest: Manifest) -> int:
    """Return the sequence length of a pretraining's first records, as its inputs name them.

    It is that of the whole pretraining if it has no phases of other lengths. There must be an
    input `records <sequence length>`; not checked.
    """
    names = [name for name in manifest.inputs if name.startswith("records ")]
    return int(names[0].removeprefix("records "))


def pretraining_flops(
    manifest: Manifest, records: Sequence[Manifest], architecture: AlbertConfig
) -> float:
    """Return the FLOPs of the matrix products of a pretraining, forwards and backwards.

    They are those of the tokens that were really trained on.

    Args:
        manifest: Of the pretraining.
        records: Manifests of its records, for the masks of static ones.
        architecture: Of the model, with all its layers.

    Raises:
        InputError: The settings in a manifest are not those of this version.
    """
    config, phases = recorded_pretraining(manifest)
    parts = _split_by_phase(manifest.metrics["num_tokens"], phases, config, records)
    flops = (
        num_tokens
        * config.flops_per_token(
            phase.architecture(architecture),
            phase.sequence_length,
            masking.max_predictions(phase.sequence_length),
        )
        for num_tokens, phase, masking in parts
    )
    return float(sum(flops))


def _split_by_phase(
    num_tokens: int,
    phases: Sequence[Phase],
    config: PretrainingConfig,
    records: Sequence[Manifest],
) -> Iterator[tuple[int, Phase, MaskingConfig]]:
    """Yield for each phase, in order, the tokens trained on, the phase and its masking.

    A pretraining that stopped early has fewer tokens than planned, or 0, in its last phases. The
    masking is that of static records of this length, or else the pretraining's.

    Args:
        num_tokens: Tokens trained on in all phases together.
        phases: The phases as planned.
        config: The pretraining's settings.
        records: Manifests of its records.
    """
    static = _static_masking(records)
    ends = itertools.accumulate(phase.num_tokens for phase in phases)
    begins = itertools.accumulate((phase.num_tokens for phase in phases), initial=0)
    for phase, begin, end in zip(phases, begins, ends, strict=False):
        masking = static.get(phase.sequence_length, config.masking)
        yield max(0, min(num_tokens, end) - begin), phase, masking


def _static_masking(records: Sequence[Manifest]) -> dict[int, MaskingConfig]:
    """Return the masking of static records by sequence length; others are masked when read."""
    configs = [
        parse_settings(
            RecordsConfig, plain_values(m.config["records"]), source="manifest of records"
        )
        for m in records
    ]
    return {c.sequence_length: c.static_masking for c in configs if c.format == "static"}
