"""The demo's data set: what counts as prose, no leaks, the same bytes every time, valid tasks."""

import functools
from collections import Counter
from pathlib import Path

import pytest
import yaml

from albert_core.corpus import CorpusConfig, corpus_documents, resolve_format
from albert_core.errors import InputError
from albert_core.tasks import find_task, read_examples, read_sentences
from albert_core.tasks.description import describe_files
from albert_core.tasks.reading import SPLITS
from components.demo_data.docstrings import DocstringProse, read_documents
from components.demo_data.names import tag_names
from components.demo_data.prose import Sentence, clean_docstring
from components.demo_data.step import split_documents, write_corpus, write_data_set
from components.demo_data.tasks import NEXT_LABELS, next_rows, package_rows

PACKAGES = ("asyncio", "email", "numpy")


def prose(docstring: str) -> list[list[str]]:
    return [[sentence.text for sentence in run] for run in clean_docstring(docstring)]


def document(path: str, *texts: str, package: str = "numpy") -> DocstringProse:
    run = tuple(Sentence(text, text.casefold()) for text in texts)
    return DocstringProse(package, path, 1, (run,))


def sentences_of(documents: list[DocstringProse]) -> list[str]:
    return [sentence.key for document in documents for sentence in document.sentences]


@pytest.fixture(scope="module")
def documents() -> list[DocstringProse]:
    return read_documents(PACKAGES, num_processes=1)


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float | int]]:
    output = tmp_path_factory.mktemp("demo")
    return output, write_data_set(output, packages=PACKAGES, seed=1, num_processes=1)


def read_rows(file: Path) -> tuple[list[str], list[list[str]]]:
    header, *rows = [line.split("\t") for line in file.read_text("utf-8").split("\n")[:-1]]
    return header, rows


def test_wrapped_lines_become_sentences() -> None:
    docstring = """Return the larger value. It is
        compared by rank, e.g. by size.

        An empty list is refused.
        """
    assert prose(docstring) == [
        ["Return the larger value.", "It is compared by rank, e.g. by size."],
        ["An empty list is refused."],
    ]


@pytest.mark.parametrize(
    "code",
    [
        ">>> print('the words are output')\nthese words are output",
        "```python\nthese words are fenced\n```",
        "Like this one here::\n\n    these words are indented code\n\n    and more of the code",
        ".. code-block:: python\n\n    these words are indented code",
        ".. [1] A paper that nobody has read",
        "Title of the section\n--------------------",
        "| these words | are a table |",
        "value : array of plain words",
        "result = compute(these, words, here)",
        "abs, all, any, equal",
        "1.0, 2.0 or x",
    ],
)
def test_code_and_tables_are_left_out(code: str) -> None:
    docstring = f"The first sentence is kept.\n\n{code}\n\nThe last sentence is kept."
    kept = [sentence for run in prose(docstring) for sentence in run]
    kept = [sentence for sentence in kept if sentence != "Like this one here"]
    assert kept == ["The first sentence is kept.", "The last sentence is kept."]


def test_markup_is_removed_and_its_text_kept() -> None:
    docstring = (
        "Use ``name`` or `other` of :class:`Parent` and :func:`~package.module.child`, "
        "**not** the *old* [guide](page.md) for it."
    )
    expected = "Use name or other of Parent and child, not the old guide for it."
    assert prose(docstring) == [[expected]]


@pytest.mark.parametrize(
    "arguments",
    [
        "Args:\n  first: The value to start\n    from.\n  second: Where to stop the count.",
        "Parameters\n----------\nfirst : int\n    The value to start\n    from.\n"
        "second : int, optional\n    Where to stop the count.",
        ":param first: The value to start\n    from.\n:param int second: Where to stop the count.",
        "- The value to start\n  from.\n- Where to stop the count.",
    ],
)
def test_descriptions_of_arguments_are_kept_without_names(arguments: str) -> None:
    docstring = f"Count up in steps.\n\n{arguments}"
    assert prose(docstring) == [
        ["Count up in steps."],
        ["The value to start from."],
        ["Where to stop the count."],
    ]


def test_a_sentence_left_out_ends_its_run() -> None:
    docstring = "The first one is here. Then x == y holds. The second one is here."
    assert prose(docstring) == [["The first one is here."], ["The second one is here."]]


def test_keys_ignore_quoted_names_case_and_digits() -> None:
    ((first,), (second,)) = clean_docstring("Has type of `x` in 2D.\n\nhas type of `y` in 3D")
    assert first.key == second.key


def test_every_sentence_is_clean(documents: list[DocstringProse]) -> None:
    sentences = [sentence for document in documents for sentence in document.sentences]
    assert len(sentences) > 10_000
    for sentence in sentences:
        assert sentence.text == " ".join(sentence.text.split())
        assert not set("`\t\n{}") & set(sentence.text)


def test_texts_attached_to_compiled_functions_are_found(documents: list[DocstringProse]) -> None:
    assert any(document.path == "numpy/_core/_add_newdocs.py" for document in documents)


def test_missing_package_is_named() -> None:
    with pytest.raises(InputError, match="got 'no_such_package', expected an installed package"):
        read_documents(["no_such_package"], num_processes=1)


@pytest.mark.parametrize(
    ("num_functions", "message"),
    [
        ({"many": 3}, "and 0 dev passages from many; expected 2 or more"),
        (
            {"many": 40, "rare": 1},
            "many, rare; rare gave dev passages alone; expected 2 or more",
        ),
    ],
)
def test_too_little_documentation_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_functions: dict[str, int], message: str
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    for package, number in num_functions.items():
        (tmp_path / package).mkdir()
        text = "\n".join(map(functools.partial(documented_function, package), range(number)))
        (tmp_path / package / "__init__.py").write_text(text)
    rarest = min(num_functions, key=lambda package: num_functions[package])
    documents = read_documents(list(num_functions), num_processes=1)
    seed = next(
        seed
        for seed in range(1000)
        if len(num_functions) == 1
        or rarest in {document.package for document in split_documents(documents, seed)[1]}
    )
    with pytest.raises(InputError, match=message):
        write_data_set(tmp_path / "demo", packages=list(num_functions), seed=seed, num_processes=1)
    assert not (tmp_path / "demo").exists()


def documented_function(package: str, number: int) -> str:
    name = f"{package}{'abcdefghijklmnopqrstuvwxyz'[number % 26]}{'xyz'[number // 26]}"
    return f'''def {name}():
    """Return the {name} of the given table as a list of numbers.

    Every {name} is computed from all rows that the caller has added so far.
    """
'''


def test_no_sentence_is_kept_twice(documents: list[DocstringProse]) -> None:
    train, dev = split_documents(documents, seed=1)
    keys = sentences_of(train) + sentences_of(dev)
    assert len(keys) == len(set(keys))
    assert 0.05 < len(dev) / len(train + dev) < 0.15


def test_families_stay_on_one_side() -> None:
    shared = "This long sentence is shared by all the members of family number {}."
    family = [
        [
            document(f"{i}/{j}.py", shared.format(i), f"One {i} {j}.", f"Two {i} {j}.")
            for j in range(3)
        ]
        for i in range(100)
    ]
    train, dev = split_documents([member for members in family for member in members], seed=1)
    sides = [{document.path.split("/")[0] for document in side} for side in (train, dev)]
    assert all(sides)
    assert not sides[0] & sides[1]


def test_short_documents_are_dropped() -> None:
    train, dev = split_documents([document("a.py", "Only one sentence here.")], seed=1)
    assert train == dev == []


def test_split_depends_on_the_seed(documents: list[DocstringProse]) -> None:
    assert split_documents(documents, seed=1)[1] != split_documents(documents, seed=2)[1]


def test_bytes_do_not_depend_on_processes(
    data_set: tuple[Path, dict[str, float | int]], tmp_path: Path
) -> None:
    output, metrics = data_set
    assert write_data_set(tmp_path, packages=PACKAGES, seed=1, num_processes=2) == metrics
    files = sorted(file.relative_to(output) for file in output.rglob("*.*"))
    assert len(files) >= 7
    for file in files:
        assert (output / file).read_bytes() == (tmp_path / file).read_bytes()


def test_corpus_is_what_the_figures_say(data_set: tuple[Path, dict[str, float | int]]) -> None:
    output, metrics = data_set
    parts = [file.read_text("utf-8") for file in sorted((output / "corpus").iterdir())]
    texts = [text.strip("\n").split("\n") for part in parts for text in part.split("\n\n")]
    assert len(texts) == metrics["num_documents"]
    assert sum(map(len, texts)) == metrics["num_sentences"]
    assert min(map(len, texts)) >= 2
    assert sum(len(part.encode()) for part in parts) == metrics["corpus_bytes"]


def test_parts_of_an_earlier_run_are_removed(tmp_path: Path) -> None:
    (tmp_path / "part-00007.txt").write_text("old")
    write_corpus(tmp_path, [document("a.py", "A first sentence.", "A second sentence.")])
    (part,) = tmp_path.iterdir()
    assert part.read_text() == "A first sentence.\nA second sentence.\n"


def test_dev_rows_are_not_in_the_corpus(data_set: tuple[Path, dict[str, float | int]]) -> None:
    output, _ = data_set
    corpus = {line for f in (output / "corpus").iterdir() for line in f.read_text().split("\n")}
    _, rows = read_rows(output / "tasks" / "docs-next" / "dev.tsv")
    assert not {sentence for row in rows for sentence in row[1:3]} & corpus
    _, train_rows = read_rows(output / "tasks" / "docs-next" / "train.tsv")
    assert {sentence for row in train_rows for sentence in row[1:3]} <= corpus


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("docs-package", ["sentence", "label"]),
        ("docs-next", ["index", "sentence1", "sentence2", "label"]),
    ],
)
def test_task_files_match_their_declaration(
    data_set: tuple[Path, dict[str, float | int]], name: str, header: list[str]
) -> None:
    output, metrics = data_set
    folder = output / "tasks" / name
    task = yaml.safe_load((folder / "task.yaml").read_text())
    assert task["name"] == name
    assert task["metrics"] == ["accuracy"]
    for side in ("train", "dev"):
        got_header, rows = read_rows(folder / task[side])
        assert got_header == header
        assert len(rows) == metrics[f"{name.replace('-', '_')}_{side}_rows"] > 50
        assert {len(row) for row in rows} == {len(header)}
        counts = Counter(row[task["label"]] for row in rows)
        assert sorted(counts) == sorted(task["labels"])
        assert len(set(counts.values())) == 1
        assert all(row[column].strip() for row in rows for column in task["texts"])


def test_sentences_with_names_are_a_task(
    data_set: tuple[Path, dict[str, float | int]],
) -> None:
    output, metrics = data_set
    task, folder = find_task("docs-names", output / "tasks")
    lines = {line for f in (output / "corpus").iterdir() for line in f.read_text().split("\n")}
    corpus = {tuple(word for word, _ in tag_names(line)) for line in lines}
    for side in ("train", "dev"):
        sentences = read_sentences(task, folder, side)
        assert len(sentences) == metrics[f"docs_names_{side}_rows"] > 50
        for sentence in sentences:
            assert any(sentence.tags)
            assert (sentence.words in corpus) == (side == "train")


def test_names_are_words_with_a_capital_letter_inside_a_sentence() -> None:
    tagged = tag_names("Return a Numpy Array (or None) of the NaN type, see ABC.")
    assert [word for word, tag in tagged if tag == "B-NAME"] == ["numpy", "none", "nan"]
    assert [word for word, tag in tagged if tag == "I-NAME"] == ["array"]
    assert tagged[0] == ("return", "O")


def test_examples_of_every_format_are_the_rows_of_the_task(
    data_set: tuple[Path, dict[str, float | int]],
) -> None:
    folder = data_set[0] / "examples" / "tasks"
    task, package = find_task("docs-package", data_set[0] / "tasks")
    expected = {split: read_examples(task, package, split) for split in SPLITS[:2]}
    first = {"train": expected["train"][:200], "dev": expected["dev"][:50]}
    for name in ("docs-jsonl", "docs-parquet"):
        task, data = find_task(name, folder)
        assert {split: read_examples(task, data, split) for split in SPLITS[:2]} == first
    task, data = find_task("docs-hub", folder)
    assert "(Parquet, 2 files)" in describe_files(task, data)
    for split, rows in first.items():
        shards = [(one.texts, one.target) for one in read_examples(task, data, split)]
        assert sorted(shards) == sorted((one.texts, one.target) for one in rows)
    task, data = find_task("docs-csv", folder)
    assert task.splits_off_dev
    train, dev = (read_examples(task, data, split) for split in SPLITS[:2])
    assert sorted((*train, *dev), key=lambda one: int(one.id)) == first["train"]
    assert len(dev) == 20
    assert not {one.texts for one in train} & {one.texts for one in dev}


def test_examples_of_corpora_are_found_to_be_what_they_are(
    data_set: tuple[Path, dict[str, float | int]],
) -> None:
    corpora = {}
    for folder in (data_set[0] / "examples" / "corpus").iterdir():
        config = resolve_format(CorpusConfig(files=(str(folder),)))
        assert config.format == folder.name
        corpora[folder.name] = list(corpus_documents(config))
    assert corpora["jsonl"] == corpora["parquet"] == corpora["wikiextractor"]
    assert len(corpora["jsonl"]) == 100


def test_passages_name_no_package() -> None:
    documents = [
        document("a.py", "This function of NumPy returns one of the two larger values."),
        document("b.py", "Use np.max to return one of the two much larger values here."),
        document("c.py", "It returns one of the two much larger values of them all."),
    ]
    rows = package_rows(documents, max_rows_per_package=10, seed=1)
    assert rows == [(documents[2].sentences[0].text, "numpy")]


def test_next_rows_are_neighbours_in_either_order(documents: list[DocstringProse]) -> None:
    train, _ = split_documents(documents, seed=1)
    place = {
        sentence.text: (document.path, document.line, run, position)
        for document in train
        for run, sentences in enumerate(document.runs)
        for position, sentence in enumerate(sentences)
    }
    distances: Counter[tuple[str, int]] = Counter()
    for first, second, label in next_rows(train, max_rows=401, seed=1):
        (*first_run, first_position), (*second_run, second_position) = place[first], place[second]
        assert first_run == second_run
        distances[label, second_position - first_position] += 1
    not_next, is_next = NEXT_LABELS
    assert distances == {(is_next, 1): 200, (not_next, -1): 200}
