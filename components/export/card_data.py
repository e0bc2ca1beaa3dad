"""What a card says of the text and of the vocabulary."""

from collections.abc import Sequence

from albert_core.artifacts.manifest import Manifest
from components.export.card_config import CardConfig
from components.export.card_sections import Section, present, share


def data_section(records: Sequence[Manifest], card: CardConfig) -> Section:
    """Return what the text is, what of it was left out, and what came of it.

    The records of each sequence length are of the same text.
    """
    if not records:
        return Section(title="Data", text=card.data_description, facts=_licence(card))
    figures, cleaning = records[-1].metrics, records[-1].config["cleaning"]
    sets = list(cleaning["evaluation_sets"])
    duplicates = figures["num_duplicate_documents"] if cleaning["deduplicate"] else "kept"
    return Section(
        title="Data",
        text=card.data_description,
        facts=[
            *(_licence(card) or [("License of the text", "not stated")]),
            *present(
                ("Documents", figures["num_documents"]),
                ("Sentences", figures["num_sentences"]),
                ("Words", figures["num_words"]),
                ("Tokens (pieces)", figures["num_tokens"]),
                ("Documents removed as repetitions", duplicates),
                ("Documents removed by filters", figures["num_removed_documents"]),
                ("Evaluation sets that documents were compared with", sets or "none"),
                (
                    "Of these, for an overlap with an evaluation set",
                    figures.get("num_overlapping_documents") if sets else None,
                ),
                ("Words in a row that count as an overlap", sets and cleaning["overlap_ngram"]),
                (
                    "Share of documents held out",
                    share(records[-1].config["records"]["held_out_fraction"]),
                ),
                ("Training sequences", [m.metrics["num_train_records"] for m in records]),
                ("Held-out sequences", [m.metrics["num_held_out_records"] for m in records]),
                ("Hash of the text", records[-1].inputs["corpus"]),
            ),
        ],
    )


def _licence(card: CardConfig) -> list[tuple[str, str]]:
    return present(("License of the text", card.data_license))


def vocabulary_section(vocab: Manifest | None) -> Section:
    """Return what the vocabulary is and how it fits its text."""
    if vocab is None:
        return Section(title="Vocabulary")
    figures = vocab.metrics
    return Section(
        title="Vocabulary",
        facts=present(
            ("Kind", vocab.config["kind"]),
            ("Pieces", figures["vocab_size"]),
            ("Pieces per word", figures["tokens_per_word"]),
            ("Characters per piece", figures["characters_per_token"]),
            ("Share of characters with a piece", share(figures["character_coverage"])),
            ("Trained on sentences", figures["num_training_sentences"] or "taken as it was"),
        ),
    )
