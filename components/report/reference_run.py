"""The held-out curve of a pretraining that went well, to compare another one with.

The small tier on all of Simple English Wikipedia, 22,000 steps of 16 sequences of 64 tokens
(docs/benchmarks.md, 2026-11-24). Larger models and texts reach another level by the same shape:
masked LM first leaves the accuracy of the most frequent token; sentence order stays at chance for
a while, then rises.
"""

from collections.abc import Sequence
from typing import Any

_MASKED_LM = (0.115, 0.132, 0.147, 0.150, 0.166, 0.183, 0.202, 0.216, 0.231, 0.243, 0.251)
_SENTENCE_ORDER = (0.494, 0.584, 0.603, 0.634, 0.643, 0.670, 0.680, 0.702, 0.693, 0.701, 0.709)


def reference_history(num_steps: int) -> Sequence[dict[str, Any]]:
    """Return the reference run's eleven evaluations, stretched over `num_steps` steps.

    They are at even intervals: the first after an eleventh of the steps, the last after all. Rows
    have `global_step` (a float) and the fractions `masked_lm_accuracy` and
    `sentence_order_accuracy`.
    """
    return [
        {
            "global_step": num_steps * (index + 1) / len(_MASKED_LM),
            "masked_lm_accuracy": masked_lm,
            "sentence_order_accuracy": sentence_order,
        }
        for index, (masked_lm, sentence_order) in enumerate(
            zip(_MASKED_LM, _SENTENCE_ORDER, strict=True)
        )
    ]
