"""The card's sections about the text and the vocabulary."""

from collections.abc import Mapping, Sequence
from typing import Any

from albert_core.artifacts.manifest import Manifest, Metrics
from components.export.card.config import CardConfig
from components.export.card.sections import Section, keep_known
from components.number_formats import format_exact_percent


def data_section(records: Sequence[Manifest], card: CardConfig) -> Section:
    """Return a section about the text: its size, its licence, and which documents were left out.

    Without records only what `card` says. The numbers of the text are those of the last manifest,
    only the numbers of sequences are those of each.

    Args:
        records: Manifests of the records of each sequence length, all made of the same text (not
            checked).
        card: Licence and description of the text.
    """
    if not records:
        licence = keep_known(("License of the text", card.data_license))
        return Section(title="Data", text=card.data_description, facts=licence)
    metrics, config = records[-1].metrics, records[-1].config
    cleaning = config["cleaning"]
    # The names alone: the setting also holds paths on the machine that made the records.
    sets = list(cleaning["evaluation_sets"])
    duplicates = metrics["num_duplicate_documents"] if cleaning["deduplicate"] else "kept"
    return Section(
        title="Data",
        text=card.data_description,
        facts=keep_known(
            ("License of the text", card.data_license or "not stated"),
            ("Documents", metrics["num_documents"]),
            ("Sentences", metrics["num_sentences"]),
            ("Words", metrics["num_words"]),
            ("Tokens", metrics["num_tokens"]),
            ("Duplicate documents removed", duplicates),
            (
                "Near-duplicates removed (Jaccard similarity of word n-grams)",
                _near_duplicates(metrics, cleaning),
            ),
            ("Documents removed by filters", metrics["num_removed_documents"]),
            ("Evaluation sets that documents were compared with", sets or "none"),
            (
                "Documents removed for overlap with an evaluation set",
                metrics.get("num_overlapping_documents") if sets else None,
            ),
            ("Words in a row that count as an overlap", sets and cleaning["overlap_ngram"]),
            (
                "Documents held out",
                format_exact_percent(config["records"]["held_out_fraction"]),
            ),
            ("Training sequences", [m.metrics["num_train_records"] for m in records]),
            ("Held-out sequences", [m.metrics["num_held_out_records"] for m in records]),
            ("Hash of the text", records[-1].inputs["corpus"]),
        ),
    )


def _near_duplicates(metrics: Metrics, cleaning: Mapping[str, Any]) -> str | None:
    """Return how many near-duplicates were removed, and from which similarity on.

    None where they were not looked for; records of earlier versions have no such setting.
    """
    threshold = cleaning.get("near_duplicate_threshold")
    if threshold is None:
        return None
    return f"{metrics['num_near_duplicate_documents']:,} from {threshold:g} on"


def vocabulary_section(vocab: Manifest | None) -> Section:
    """Return a section about the vocabulary and how well it covers its text; empty for None.

    If the vocabulary was not trained in the run, the text says so in place of the number of
    sentences.
    """
    if vocab is None:
        return Section(title="Vocabulary")
    metrics = vocab.metrics
    return Section(
        title="Vocabulary",
        facts=keep_known(
            ("Kind", vocab.config["kind"]),
            ("Size", metrics["vocab_size"]),
            ("Tokens per word", metrics["tokens_per_word"]),
            ("Characters per token", metrics["characters_per_token"]),
            ("Characters covered", format_exact_percent(metrics["character_coverage"])),
            ("Trained on sentences", metrics["num_training_sentences"] or "taken as it was"),
        ),
    )
