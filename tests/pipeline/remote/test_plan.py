"""The table of what a compiled pipeline will run, of the golden ones and of changes to them."""

import copy
import dataclasses
from pathlib import Path

import pytest

from albert_core.errors import InputError
from albert_core.estimation.prices import LIST_PRICES, Prices
from pipeline.cli import tables
from pipeline.cli.plan_display import print_plan
from pipeline.estimation import read_prices
from pipeline.remote.package import read_package
from pipeline.remote.plan import planned_tasks
from tests.helpers.platforms import small_package

GOLDENS = Path(__file__).parent / "goldens"
TEXT, GLUE = "gs://corpus/text/*.txt", ["gs://data/glue/CoLA", "gs://data/glue/MNLI"]
# Name, runs, role of the image, machine, price of an hour, inputs.
BEFORE = [
    ("Vocabulary", 1, "data", "4 cores, 16 GiB", None, [TEXT]),
    ("Records", 2, "data", "8 cores, 32 GiB", None, ["vocab", TEXT]),
]
AFTER = [
    ("Fine-tuning", 4, "trainer", "8 cores, 32 GiB", None, ["pretrained", *GLUE]),
    ("Evaluation", 4, "trainer", "4 cores, 16 GiB", None, ["finetuned", *GLUE]),
    (
        "Report",
        1,
        "trainer",
        "2 cores, 8 GiB",
        None,
        ["evaluations", "finetuned", "pretrained", "records", "vocab"],
    ),
    ("Summary", 1, "data", "1 core, 4 GiB", None, []),
]
READ = ["records", "vocab"]
CHIPS = "4 v5e chips (2x2)"
PRETRAINING = {
    "kubeflow": [("Pretraining", 1, "tpu", f"24 cores, 96 GiB, {CHIPS}", 4.8, READ)],
    "vertex": [
        ("Pretraining", 1, "data", "2 cores, 8 GiB", None, READ),
        ("  its job on TPUs", 1, "tpu", f"1 x ct5lp-hightpu-4t, {CHIPS}", 4.8, []),
    ],
}


def package_of(name):
    return read_package(str(GOLDENS / f"{name}.yaml"))


@pytest.mark.parametrize("platform", PRETRAINING)
def test_every_task_is_planned_in_order_with_image_machine_price_and_inputs(platform):
    found = [
        (
            task.name,
            task.num_runs,
            task.image.removeprefix("europe-docker.pkg.dev/proj/albert/albert-python-"),
            task.machine,
            task.price_per_hour(LIST_PRICES),
            list(task.inputs),
        )
        for task in planned_tasks(package_of(platform))
    ]
    expected = [*BEFORE, *PRETRAINING[platform], *AFTER]
    assert found == [(a, b, f"{role}:golden", c, d, e) for a, b, role, c, d, e in expected]


def table_of(package, capsys, *, width=120, prices=LIST_PRICES, **options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "_PLAIN_WIDTH", width)
        print_plan(package, prices, **options)
    captured = capsys.readouterr()
    assert bool(captured.err) == options.get("to_stderr", False)
    return captured.err or captured.out


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", ["kubeflow", "vertex", "vertex_from_checkpoint"])
def test_the_table_keeps_to_the_width_and_loses_nothing(name, width, capsys):
    text = table_of(package_of(name), capsys, width=width)
    table, _, notes = text.partition("\ndata: ") if "checkpoint" not in name else (text, "", "")
    assert all(len(line) <= width for line in table.splitlines() if ": europe" not in line)
    assert "…" not in text
    for task in planned_tasks(package_of(name)):
        assert task.image in text
        assert task.name.strip() in text
    assert ("noted 2025-06-30" in notes) == (name != "vertex_from_checkpoint")


def test_many_addresses_are_told_by_the_folder_that_they_have_in_common(capsys):
    text = table_of(package_of("vertex_from_checkpoint"), capsys)
    assert "pretrained, gs://data/... (11)" in text


def test_prices_are_those_of_the_file_and_unknown_chips_have_none(capsys):
    text = table_of(
        package_of("kubeflow"),
        capsys,
        prices=Prices(
            date="2026-01-31", source="our contract", currency="EUR", per_chip_hour={"v5e": 300.0}
        ),
        to_stderr=True,
    )
    assert "1,200.00 EUR/h" in text
    assert "our contract; noted 2026-01-31" in text
    text = table_of(package_of("kubeflow"), capsys, prices=Prices(date="2026-01-31", source="none"))
    assert "/h" not in text
    assert "Prices" not in text


def test_a_date_of_prices_needs_no_quotation_marks(tmp_path):
    path = tmp_path / "prices.yaml"
    path.write_text("{date: 2026-11-27, source: our contract, per_chip_hour: {h200: 10}}")
    assert read_prices(str(path)) == Prices(
        date="2026-11-27", source="our contract", per_chip_hour={"h200": 10.0}
    )


@pytest.mark.parametrize("path", ["none.yaml", "base_v2"])
def test_a_file_of_prices_that_is_missing_is_named_by_its_option(path):
    with pytest.raises(InputError, match=rf"^--prices .*{path}: no such file$"):
        read_prices(path)  # the second is the name of a model preset, which are no prices


def test_spot_machines_are_named_and_have_no_list_price():
    package = package_of("vertex")
    spec = copy.deepcopy(package.spec)
    tasks = spec["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    job = tasks["pretrain-in-custom-job"]["inputs"]["parameters"]["tpu_job"]["runtimeValue"][
        "constant"
    ]
    job["is_spot"] = True
    tasks = planned_tasks(dataclasses.replace(package, spec=spec))
    assert [(task.name, task.price_per_hour(LIST_PRICES)) for task in tasks if task.is_spot] == [
        ("  its job on TPUs", None)
    ]


def test_a_pipeline_of_others_without_machines_has_its_row(capsys):
    package = small_package()
    parameters = package.spec["root"]["inputDefinitions"]["parameters"]
    parameters |= {name: {**parameters[name], "defaultValue": []} for name in parameters}
    assert "report   trainer" in table_of(package, capsys)
