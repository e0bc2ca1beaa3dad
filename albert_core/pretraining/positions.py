"""Which position embeddings pretraining trains, with sequences shorter than their table."""

import dataclasses
from collections.abc import Collection, Iterable

from albert_core.errors import InputError
from albert_core.settings.checks import check_at_least, check_between


@dataclasses.dataclass(frozen=True, kw_only=True)
class PositionsConfig:
    """Where the positions of training sequences begin.

    Attributes:
        position_offset_probability: Chance that the positions of a training sequence begin at a
            random offset, so that all position embeddings are trained by short sequences, too; in
            evaluation and fine-tuning they begin at 0.
        num_trained_positions: Positions that offsets reach; None: all that the model has.
    """

    position_offset_probability: float = 0.0
    num_trained_positions: int | None = None

    def check_offsets(self) -> None:
        """Refuse settings out of their range, and a limit of offsets that are never drawn.

        Raises:
            InputError: The probability is not from 0 to 1 (both are allowed),
                `num_trained_positions` is below 1, or it is given with a probability of 0.
        """
        check_between(self, "pretraining", "position_offset_probability")
        check_at_least(self, "pretraining", num_trained_positions=1)
        if self.num_trained_positions and not self.position_offset_probability:
            raise InputError(
                f"pretraining.num_trained_positions: got {self.num_trained_positions}, which does "
                "nothing without position_offset_probability above 0; set that, or remove it"
            )

    def max_position_offset(self, sequence_length: int, max_position_embeddings: int) -> int:
        """Return the largest offset that a training sequence's positions may begin at.

        It is `num_trained_positions`, or all that the model has, less the sequence's length. It is
        0, and no offset is drawn, where the probability is 0 or the sequence is as long or longer.

        Args:
            sequence_length: Length of the sequence.
            max_position_embeddings: Positions that the model has.
        """
        if not self.position_offset_probability:
            return 0
        return max((self.num_trained_positions or max_position_embeddings) - sequence_length, 0)

    def trained_length(self, sequence_lengths: Iterable[int], max_position_embeddings: int) -> int:
        """Return the number of positions that are trained: from 0 to the furthest end.

        That is `num_trained_positions`, or all that the model has, if any offset is drawn; else,
        and if it is more, the longest length.

        Args:
            sequence_lengths: Lengths that are trained on, at least one.
            max_position_embeddings: Positions that the model has.
        """
        return max(
            length + self.max_position_offset(length, max_position_embeddings)
            for length in sequence_lengths
        )

    def check_positions(
        self, sequence_lengths: Collection[int], max_position_embeddings: int
    ) -> None:
        """Refuse offsets of positions beyond the model's, and those that would do nothing.

        Args:
            sequence_lengths: Lengths that are trained on.
            max_position_embeddings: Positions that the model has.

        Raises:
            InputError: `num_trained_positions` is more than the model has, or offsets are drawn
                although no sequence is shorter than the positions they reach.
        """
        if (self.num_trained_positions or 0) > max_position_embeddings:
            raise InputError(
                f"pretraining.num_trained_positions: got {self.num_trained_positions}, expected at "
                f"most the model's max_position_embeddings={max_position_embeddings}"
            )
        limit = self.num_trained_positions or max_position_embeddings
        if self.position_offset_probability and min(sequence_lengths) >= limit:
            raise InputError(
                f"pretraining.position_offset_probability: got {self.position_offset_probability}, "
                f"which does nothing: all sequences are as long as the {limit} positions; expected "
                "0, shorter sequences, or more positions"
            )
