"""What the trainers of vocabularies cannot use as it is, counted."""

import dataclasses


@dataclasses.dataclass
class TrainingCounts:
    """Counts of what a trainer changed or left out of its text.

    Attributes:
        num_divided_sentences: Sentences that were divided, as the trainer drops longer ones whole.
        num_replaced_characters: Characters that the trainer reserves, replaced by spaces.
        num_uncovered_words: Words left out for a character beyond `character_coverage`, every
            occurrence counted.
    """

    num_divided_sentences: int = 0
    num_replaced_characters: int = 0
    num_uncovered_words: int = 0
