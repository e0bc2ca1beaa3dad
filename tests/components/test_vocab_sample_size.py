"""How much text a vocabulary is trained on: by a setting, or by the memory there is."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from albert_core.corpus import CorpusConfig
from albert_core.errors import InputError
from albert_core.processes import free_memory, machine
from albert_core.settings import parse_settings
from albert_core.tokenization.config import VocabConfig
from components.vocab.sample import drained
from components.vocab.sample_size import choose_sample_size
from components.vocab.step import train_vocab

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> CorpusConfig:
    rng = random.Random(5)
    words = ["".join(rng.choices(["ka", "lo", "mi", "tu", "re"], k=3)) for _ in range(200)]
    lines = [" ".join(rng.choices(words, k=9)) for _ in range(2000)]
    path = tmp_path_factory.mktemp("corpus") / "text.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return CorpusConfig(files=(str(path),))


@pytest.fixture
def available(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which a machine without control groups tells of its memory: 16 GB of it."""
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path / "none")
    monkeypatch.setattr(free_memory, "_MEMINFO", tmp_path / "meminfo")
    set_available(tmp_path / "meminfo", 16e9)
    return tmp_path / "meminfo"


def set_available(meminfo: Path, num_bytes: float) -> None:
    meminfo.write_text(f"MemAvailable: {num_bytes / 1024:.0f} kB\nSwapFree: 0 kB\n")


@pytest.mark.parametrize(
    ("free_bytes", "expected"), [(16e9, 8.0), (8.1e9, 8.0), (7.9e9, 4.0), (2.1e9, 2.0), (9e6, 0.25)]
)
def test_auto_takes_eight_gigabytes_or_the_power_of_two_that_is_free(
    free_bytes: float, expected: float, corpus: CorpusConfig, available: Path, tmp_path: Path
) -> None:
    set_available(available, free_bytes)
    config = VocabConfig(size=100)
    manifest = train_vocab(corpus=corpus, config=config, output=tmp_path / "auto")
    assert manifest.metrics["memory_gb"] == expected
    assert manifest.config["memory_gb"] == "auto"


def test_a_vocabulary_that_is_taken_names_no_memory(corpus: CorpusConfig, tmp_path: Path) -> None:
    train_vocab(corpus=corpus, config=VocabConfig(size=100), output=tmp_path / "trained")
    config = VocabConfig(size=100, source=str(tmp_path / "trained"))
    manifest = train_vocab(corpus=corpus, config=config, output=tmp_path / "taken")
    assert "memory_gb" not in manifest.metrics


def test_where_all_text_fits_the_memory_changes_no_byte(
    corpus: CorpusConfig, available: Path, tmp_path: Path
) -> None:
    manifests = [
        train_vocab(corpus=corpus, config=VocabConfig(size=100), output=tmp_path / "many"),
        train_vocab(
            corpus=corpus, config=VocabConfig(size=100, memory_gb=8.0), output=tmp_path / "fixed"
        ),
    ]
    set_available(available, 1.1e9)
    manifests.append(
        train_vocab(corpus=corpus, config=VocabConfig(size=100), output=tmp_path / "few")
    )
    assert [manifest.metrics["memory_gb"] for manifest in manifests] == [8.0, 8.0, 1.0]
    assert len({manifest.content_hash for manifest in manifests}) == 1


def test_a_continued_training_takes_the_sample_that_it_was_begun_with(
    corpus: CorpusConfig,
    available: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop_at_training(_: float, __: float, text: str) -> None:
        if text.startswith("training"):
            raise KeyboardInterrupt

    set_available(available, 3e9)
    for folder, damaged, expected in (("a", False, 2.0), ("b", True, 8.0)):
        set_available(available, 3e9)
        work = {"corpus": corpus, "config": VocabConfig(size=100), "output": tmp_path / folder}
        with pytest.raises(KeyboardInterrupt):
            train_vocab(**work, work_root=tmp_path / "work" / folder, progress=stop_at_training)
        (kept,) = (tmp_path / "work" / folder).glob("vocab-*/progress/sample.json")
        if damaged:
            kept.write_text(kept.read_text().replace("2.0", "4.0"))
        set_available(available, 16e9)
        manifest = train_vocab(**work, work_root=tmp_path / "work" / folder)
        assert manifest.metrics["memory_gb"] == expected
        assert ("the size of the sample is chosen again" in capsys.readouterr().err) == damaged


def test_a_sample_is_said_with_its_reason_and_the_setting_that_takes_more(
    corpus: CorpusConfig, available: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    manifest = train_vocab(
        corpus=corpus,
        config=VocabConfig(size=100, memory_gb=0.002),
        output=tmp_path / "vocab",
        progress=lambda _, __, text: said.append(text),
    )
    num_used = manifest.metrics["num_training_sentences"]
    assert 900 < num_used < 1200
    text = (
        f"a sample of 66.7 kB is used, {num_used:,} of the text's 2,000 sentences: vocab.memory_gb "
        "is 0.002; a larger value takes more"
    )
    assert text in said
    set_available(available, 1_500_000_000)
    size = choose_sample_size(VocabConfig(), tmp_path, work="work")
    assert size.describe(5, 9) == (
        "a sample of 33.3 MB is used, 5 of the text's 9 sentences: vocab.memory_gb is 1 (auto, as "
        "1.5 GB were free on this machine); a larger value takes more"
    )
    fixed = choose_sample_size(VocabConfig(memory_gb=1.0), tmp_path, work="work")
    assert fixed.max_bytes == size.max_bytes


def test_a_sample_that_the_memory_is_too_little_for_is_refused_before_training(
    corpus: CorpusConfig, available: Path, tmp_path: Path
) -> None:
    set_available(available, 1e6)
    said: list[str] = []
    with pytest.raises(InputError) as refusal:
        train_vocab(
            corpus=corpus,
            config=VocabConfig(size=100, memory_gb=4.0),
            output=tmp_path / "vocab",
            progress=lambda _, __, text: said.append(text),
        )
    assert str(refusal.value).startswith(
        "vocab.memory_gb: got 4, a sample of up to 133.3 MB of text, expected more memory: "
    )
    assert "1.0 MB are free on this machine" in str(refusal.value)
    assert not any(text.startswith("training") for text in said)
    assert not (tmp_path / "vocab").exists()
    # Text that fits is used, whatever else the setting would have room for.
    set_available(available, 1e9)
    train_vocab(
        corpus=corpus, config=VocabConfig(size=100, memory_gb=64.0), output=tmp_path / "vocab"
    )


def test_under_a_real_limit_training_is_refused_and_does_not_break_off(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("".join(f"word{n} {n * 7919}\n" for n in range(250_000)))
    program = (
        "import resource\n"
        "import sentencepiece\n"
        "from albert_core.errors import InputError\n"
        "from albert_core.corpus import CorpusConfig\n"
        "from albert_core.tokenization.config import VocabConfig\n"
        "from components.vocab.step import train_vocab\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 330_000_000,) * 2)\n"
        "corpus = CorpusConfig(files=('text.txt',))\n"
        "try:\n"
        "    train_vocab(corpus=corpus, config=VocabConfig(memory_gb=1.0), output='vocab')\n"
        "except InputError as error:\n"
        "    print(error)\n"
    )
    printed = subprocess.check_output(
        [sys.executable, "-c", program], cwd=tmp_path, text=True, env={"PYTHONPATH": str(ROOT)}
    )
    assert printed.startswith("vocab.memory_gb: got 1, a sample of up to 33.3 MB of text, expected")
    assert "are free within the limit on address space (ulimit -v)" in printed


def test_a_training_that_runs_out_of_memory_says_which_sample_is_smaller(tmp_path: Path) -> None:
    size = choose_sample_size(VocabConfig(memory_gb=8.0), tmp_path, work="work")
    assert str(size.out_of_memory(12_000_000)) == (
        "vocab.memory_gb: got 8, but the memory ran out in training on 12.0 MB of text, expected "
        "less than 0.36, or more memory"
    )


@pytest.mark.parametrize("value", [0, -1.0, "all"])
def test_a_memory_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="memory_gb"):
        parse_settings(VocabConfig, {"memory_gb": value}, source="vocab")
    assert parse_settings(VocabConfig, {"memory_gb": "auto"}, source="vocab").memory_gb == "auto"


def test_sentences_leave_the_list_as_they_are_read() -> None:
    sample = ["a", "b", "c"]
    sentences = drained(sample)
    assert next(sentences) == "a"
    assert len(sample) == 2
    assert list(sentences) == ["b", "c"]
    assert not sample
