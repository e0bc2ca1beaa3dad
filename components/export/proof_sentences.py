"""The sentences that exports are proved on: given ones, else the corpus's, else English ones."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from albert_core.artifacts.inputs import input_folder
from components.export.lineage import Lineage
from components.vocab.sample import SENTENCES_NAME

if TYPE_CHECKING:
    from albert_core.exports.sentences import SentenceSource


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProofSentences:
    """Sentences, and where they come from.

    Attributes:
        texts: The sentences, one at least.
        source: `file`, `corpus` or `package`.
    """

    texts: Sequence[str]
    source: "SentenceSource"


def proof_sentences(lineage: Lineage, file: str | Path | None = None) -> ProofSentences:
    """Return the sentences of the file, else of the model's corpus, else of the package.

    The sentences of the corpus were chosen when the vocabulary was made, and are beside it.

    Args:
        lineage: What led to the model; the corpus is known if the vocabulary is.
        file: A file with a sentence on each line, local, gs:// or s3://.

    Raises:
        InputError: The file is missing, not UTF-8 or empty, or the vocabulary is damaged.
        ServiceError: The storage failed.
    """
    from albert_core.exports.sentences import read_sentences

    if file:
        return ProofSentences(texts=read_sentences(file), source="file")
    if lineage.vocab and SENTENCES_NAME in lineage.vocab.files and lineage.vocab_address:
        texts = read_sentences(input_folder(lineage.vocab_address) / SENTENCES_NAME)
        return ProofSentences(texts=texts, source="corpus")
    return ProofSentences(texts=read_sentences(), source="package")
