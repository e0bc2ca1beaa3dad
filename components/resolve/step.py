"""Resolve the settings of a dated run: the text of its date, and the model it starts from."""

import dataclasses

from albert_core.corpus import CorpusConfig, check_corpus, corpus_fingerprint
from albert_core.pretraining.config import PretrainingConfig
from albert_core.tokenization.config import VocabConfig
from components.promote.config import RetrainingConfig
from components.promote.model_registry import AcceptedModel, accepted_before
from components.resolve.dates import parse_date, with_date

RESOLVED_NAME = "resolved.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resolved:
    """The settings of a run with its date and the accepted model filled in.

    Attributes:
        date: The date, YYYY-MM-DD.
        title: Name of the run.
        corpus: The text of that date, with its format, set or found.
        corpus_fingerprint: Hash of the text.
        vocab: The vocabulary: the accepted model's, if there is one.
        pretraining: How to pretrain: from the accepted model, if there is one.
        accepted: The model accepted last before the date; None if there is none, or no retraining.
    """

    date: str
    title: str
    corpus: CorpusConfig
    corpus_fingerprint: str
    vocab: VocabConfig
    pretraining: PretrainingConfig
    accepted: AcceptedModel | None


def resolve(
    *,
    date: str,
    title: str,
    corpus: CorpusConfig,
    vocab: VocabConfig,
    pretraining: PretrainingConfig,
    retraining: RetrainingConfig,
) -> Resolved:
    """Fill the date into the settings, and start from the accepted model if there is one.

    The accepted model becomes `vocab.source` and `pretraining.init_checkpoint`, in place of what
    they were, no vocabulary is trained and no initial weights are scaled. Re-running a date reuses
    its results, since only models of earlier dates count. The files of the corpus are read, to
    check and hash them; what is notable about them is printed on standard output. No file is
    written.

    Args:
        date: A date or a time, as a schedule passes it.
        title: Name of the run; may hold `{{ds}}`.
        corpus: The text; its addresses may hold `{{ds}}`.
        vocab: The vocabulary to train where there is no accepted model.
        pretraining: How to pretrain.
        retraining: Folder of the accepted models; without one, none is looked up.

    Raises:
        InputError: The date is not one, no file matches for it, a file is unusable, or the
            accepted model is gone.
        ServiceError: The storage failed.
    """
    date = parse_date(date)
    corpus = dataclasses.replace(corpus, files=with_date(corpus.files, date))
    corpus = check_corpus(corpus)
    accepted = accepted_before(retraining.accepted, date) if retraining.accepted else None
    if accepted:
        vocab = dataclasses.replace(
            vocab,
            source=accepted.address,
            character_coverage=VocabConfig.character_coverage,  # it was for the first vocabulary
        )
        pretraining = dataclasses.replace(
            pretraining,
            init_checkpoint=accepted.address,
            residual_init_scale=1.0,  # it was for the new weights of the first model
        )
    return Resolved(
        date=date,
        title=with_date(title, date),
        corpus=corpus,
        corpus_fingerprint=corpus_fingerprint(corpus),
        vocab=vocab,
        pretraining=pretraining,
        accepted=accepted,
    )
