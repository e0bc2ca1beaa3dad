"""What readers met that is not plain good text, counted."""

import dataclasses


@dataclasses.dataclass
class ReadCounts:
    """Counts of irregularities that readers met.

    Attributes:
        num_invalid_utf8: Byte sequences that were not UTF-8 and were replaced.
        num_control_characters: Control characters that were removed.
        num_cut_sentences: Sentences of over 10,000 characters, which were cut.
        num_empty_texts: Rows whose text is null or empty.
        num_left_out_members: Files in archives that were left out: hidden ones, links, what is no
            text, and beside JSON lines what describes a data set.
        num_lines_outside_articles: Lines outside of WikiExtractor's articles, which were left out;
            blank ones do not count.
    """

    num_invalid_utf8: int = 0
    num_control_characters: int = 0
    num_cut_sentences: int = 0
    num_empty_texts: int = 0
    num_left_out_members: int = 0
    num_lines_outside_articles: int = 0
