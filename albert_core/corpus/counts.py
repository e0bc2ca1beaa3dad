"""What readers met that is not plain good text, counted."""

import dataclasses


@dataclasses.dataclass
class ReadCounts:
    """Counts of irregularities that readers met.

    Attributes:
        num_invalid_utf8: Byte sequences that were not UTF-8 and were replaced.
        num_control_characters: Control characters that were removed.
        num_cut_sentences: Sentences cut because they were too long for any model.
        num_empty_texts: Rows without a text.
        num_left_out_members: Files in archives that are no text.
    """

    num_invalid_utf8: int = 0
    num_control_characters: int = 0
    num_cut_sentences: int = 0
    num_empty_texts: int = 0
    num_left_out_members: int = 0
