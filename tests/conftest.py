"""What all tests share: the golden files, a small vocabulary, settings of hypothesis."""

import gc
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from albert_core.corpus import CorpusConfig
from albert_core.processes.library_logs import quiet_libraries
from albert_core.processes.unused_imports import skip_unused_imports
from albert_core.tokenization import SentencePieceTokenizer, load_tokenizer
from tests.helpers.compilation import compile_cheaply
from tests.helpers.zygote import RUN, Zygote

# Until all is imported; see `imports_without_collection`.
gc.disable()
skip_unused_imports()  # as in the program's own processes; so is the next
quiet_libraries()
compile_cheaply()

# A shell lets what it starts in the background ignore Ctrl-C, which some tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED = Path(__file__).resolve().parents[1].parent / "shared"

# The same examples on every run; nothing is written beside the tests.
hypothesis.settings.register_profile(
    "repeatable", deadline=None, derandomize=True, database=None, max_examples=60
)
hypothesis.settings.load_profile("repeatable")

SENTENCES = (
    "The harbour master counted 12,400 crates before the storm reached the islands.",
    "Nobody in the village remembered who had painted the old lighthouse white.",
    "A slow train carried apples, letters and two sleeping dogs to the coast.",
    "Her brother repaired clocks, although he never arrived anywhere on time.",
    "Every winter the river froze (twice in 1897) and children crossed it to school.",
    "The baker sold warm bread at dawn; by noon only crumbs were left.",
    "Musicians tuned their strings while the audience argued about the weather.",
    'Someone wrote "closed until spring" on the door of the small museum.',
)


@pytest.fixture(scope="module", autouse=True)
def imports_without_collection() -> None:
    """Take what has been imported out of Python's garbage collection.

    TensorFlow, Beam and kfp make a million objects that last; to look through them as they are
    imported takes a third of the imports' time, and each time that a model is built or cleared a
    fifth of a test's.
    """
    if gc.isenabled():  # not before the first module, when there is little but what lasts
        gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of golden files and data sets that lies beside the repository."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder `shared` beside the repository: golden files and data sets")
    return SHARED


@pytest.fixture(scope="session")
def goldens(shared: Path) -> Path:
    """Inputs and outputs recorded with the original's code."""
    return shared / "goldens"


@pytest.fixture(scope="session")
def numeric_goldens() -> Path:
    """Those of the recordings that are in the repository: numbers of small models, no texts."""
    return Path(__file__).parent / "parity" / "goldens"


@pytest.fixture
def eager() -> Iterator[None]:
    """Run TensorFlow's functions operation by operation (see `tests.helpers.eager`)."""
    from tests.helpers.eager import functions_run_eagerly

    with functions_run_eagerly():
        yield


@pytest.fixture(scope="session")
def run_zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """A process that has imported what `albert run` and its steps need, and forks."""
    zygote = Zygote(tmp_path_factory.mktemp("forks"), {}, modules=RUN)
    yield zygote
    zygote.close()


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> SentencePieceTokenizer:
    """A vocabulary of 120 pieces, trained on the sentences above."""
    from albert_core.tokenization.config import VocabConfig
    from components.vocab.step import train_vocab

    folder = tmp_path_factory.mktemp("vocabulary")
    (folder / "corpus.txt").write_text("\n".join(SENTENCES) + "\n", encoding="utf-8")
    train_vocab(
        corpus=CorpusConfig(files=(str(folder / "corpus.txt"),)),
        config=VocabConfig(size=120),
        output=folder / "vocab",
    )
    return load_tokenizer(folder / "vocab")
