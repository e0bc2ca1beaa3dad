"""Speed of SQuAD's features, and how many answers survive tokenization.

    python tests/benchmarks/squad.py --data /folder/of/squad --vocab spiece.model

Aligning a text with its pieces took the original 27 microseconds a character (on a machine like
the one of docs/benchmarks.md); features are aligned texts, windows and targets. Seconds are CPU
seconds of this process, medians of `ROUNDS`.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from albert_core.finetuning.alignment import Aligner
from albert_core.finetuning.question_features import make_question_features
from albert_core.tokenization import Tokenizer, load_tokenizer
from tests.helpers.answer_coverage import answer_coverage, read_file

ROUNDS = 5
ORIGINAL_US, TIMES_FASTER, SHARE_KEPT = 27.0, 20, 0.995


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, type=Path, help="folder of SQuAD's files")
    parser.add_argument("--vocab", required=True, help="the vocabulary")
    arguments = parser.parse_args()
    tokenizer = load_tokenizer(arguments.vocab)
    for path in sorted(arguments.data.rglob("*.json")):
        if "predictions" not in path.parts:
            print(f"\n{path.relative_to(arguments.data)}")
            measure(path, tokenizer)


def measure(path: Path, tokenizer: Tokenizer) -> None:
    """Print speed and coverage on a file."""
    questions = read_file(path)
    contexts = list(dict.fromkeys(question.context for question in questions))
    aligner = Aligner(tokenizer)
    aligner.align(contexts[:1])
    us = 1e6 * cpu_seconds(lambda: aligner.align(contexts)) / sum(map(len, contexts))
    lengths = {"sequence_length": 384, "doc_stride": 128, "max_query_length": 64}
    seconds = cpu_seconds(
        lambda: make_question_features(questions, tokenizer, **lengths, with_answers=False)
    )
    coverage = answer_coverage(questions, tokenizer)
    share = coverage.num_kept / max(coverage.num_answers, 1)
    times = ORIGINAL_US / us
    print(
        f"  aligned: {us:.2f} us a character, {times:.0f} times as fast (at least {TIMES_FASTER})"
    )
    print(f"  features: {len(questions) / seconds:,.0f} questions/s")
    print(f"  answers kept: {share:.3%} of {coverage.num_answers:,} (at least {SHARE_KEPT:.1%})")
    for cause, count in coverage.causes.most_common():
        print(f"    {cause}: {count}, such as {' as '.join(map(repr, coverage.examples[cause]))}")


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the median CPU time of some work."""
    times = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return statistics.median(times)


if __name__ == "__main__":
    main()
