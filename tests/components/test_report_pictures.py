"""The report in a real browser: a picture of each section, wide, narrow, dark and printed.

Set ALBERT_PICTURES to a folder to keep the pictures and look at them.
"""

import dataclasses
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from components.report.analysis import (
    calibration,
    class_qualities,
    confident_mistakes,
    roc_curve,
)
from components.report.comparison import compare
from components.report.comparison_page import render_comparison
from components.report.page import render_page
from components.report.summary import (
    Cost,
    FilledSample,
    RunSummary,
    TaskAnalysis,
    TaskSummary,
)
from tests.components.test_report_analysis import make_rows
from tests.helpers.browser import Browser, find_browser
from tests.helpers.report_pages import make_run, make_task

LOOKS = [(1280, False), (390, False), (390, True)]
LONG = "a_label_without_any_space_in_it_that_goes_on"

# Returns what a reader would stumble over, in words; nothing of what is meant to scroll.
CHECK = r"""
(() => {
  const wrong = [];
  const say = (what, element) => wrong.push(
    `${what}: ${element.tagName} ${(element.textContent || "").trim().slice(0, 60)}`);
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width) wrong.push("the page scrolls sideways");
  for (const element of document.querySelectorAll("body *")) {
    const box = element.getBoundingClientRect();
    if (!box.width || element.closest(".scroll, svg")) continue;
    if (box.right > width + 1 || box.left < -1) say("sticks out", element);
    if (element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).display !==
        "inline" && element.clientWidth) say("is cut off", element);
  }
  for (const chart of document.querySelectorAll("svg")) {
    const frame = chart.getBoundingClientRect();
    const texts = [...chart.querySelectorAll("text")];
    const boxes = texts.map(text => text.getBoundingClientRect());
    boxes.forEach((box, i) => {
      if (box.left < frame.left - 2 || box.right > frame.right + 2) say("outside", texts[i]);
      boxes.slice(i + 1).forEach((other, j) => {
        const across = Math.min(box.right, other.right) - Math.max(box.left, other.left);
        const down = Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top);
        if (across > 2 && down > 4) say(`overlaps "${texts[i + 1 + j].textContent}"`, texts[i]);
      });
    });
    if (!chart.getAttribute("aria-label")) say("has no description", chart);
  }
  for (const table of document.querySelectorAll("table"))
    if (!table.querySelector("th[scope]")) say("has no headers", table);
  const context = Object.assign(document.createElement("canvas"), {width: 1, height: 1})
    .getContext("2d", {willReadFrequently: true});
  const blend = colors => {
    context.clearRect(0, 0, 1, 1);
    for (const color of colors) { context.fillStyle = color; context.fillRect(0, 0, 1, 1); }
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = color => color.map(value => value / 255)
    .map(value => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0);
  for (const element of document.querySelectorAll("body *")) {
    const hasText = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!hasText || element.closest("style") || !element.getClientRects().length) continue;
    const behind = [];
    for (let at = element; at; at = at.parentElement)
      behind.unshift(getComputedStyle(at).backgroundColor);
    const style = getComputedStyle(element);
    const ink = element.closest("svg") ? style.fill : style.color;
    const [front, back] = [[...behind, ink], behind].map(colors => luminance(blend(colors)));
    const contrast = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
    if (contrast < 4.5) say(`has a contrast of ${contrast.toFixed(1)}`, element);
  }
  return [...new Set(wrong)];
})()
"""
SECTIONS = """
[...document.querySelectorAll("header, section")].map(element => {
  const box = element.getBoundingClientRect();
  return {name: element.id || "header", x: box.x + scrollX, y: box.y + scrollY,
          width: box.width, height: box.height};
})
"""


def rich_task(name: str, num_classes: int) -> TaskSummary:
    """Return a task with everything that its part of the page can show."""
    rows = make_rows(1, num_classes=num_classes)
    labels = tuple(f"class {n}" if n else LONG for n in range(num_classes))
    matrix = [[0] * num_classes for _ in labels]
    for row in rows:
        matrix[row["label"]][row["prediction"]] += 1
        row["texts"] = ["A sentence of the dev set. " * 3, "WithoutAnySpace" * 30]
    mistakes, count = confident_mistakes(rows, labels)
    log = [{"global_step": n, "loss": 2 / (1 + n / 100)} for n in range(1, 300)]
    return make_task(
        name,
        without_model_score=0.8,
        interval=(0.76, 0.81),
        training_log=log,
        random_weights_log=log,
        analysis=TaskAnalysis(
            labels=labels,
            confusion_matrix=matrix,
            classes=class_qualities({"labels": labels, "confusion_matrix": matrix}),
            calibration=calibration(rows, labels),
            roc=roc_curve(rows, labels),
            mistakes=mistakes,
            num_mistakes=count,
        ),
    )


def rich_run() -> RunSummary:
    log = [
        {"global_step": n, "loss": 9 - n / 400, "masked_lm_accuracy": n / 5000}
        for n in range(10, 2001, 10)
    ]
    sample = FilledSample(
        before="the ship ",
        after=" slowly in the rain",
        expected="sails",
        candidates=[("sails", 0.31), ("drifts", 0.2), ("WithoutAnySpace" * 2, 0.1)],
    )
    environment = {
        "processor": "A Processor With A Long Name @ 2.00GHz",
        "num_cores": 2,
        "memory_bytes": 25_000_000_000,
        "system": "Linux x86_64",
        "python": "3.11.7",
        "packages": {"keras": "3.15.1", "tensorflow": "2.21.0"},
    }
    run = make_run(
        title="a-run-with-a-long-name-in-one-word",
        tasks=[rich_task("two-classes", 2), rich_task("many-classes", 14), rich_task("six", 6)],
        pretraining_log=log,
        filled_samples=[sample] * 3,
        cost=Cost(hours=2.5, price=10.0, currency="USD", energy_kwh=1.25),
    )
    steps = [dataclasses.replace(step, environment=environment) for step in run.steps]
    return dataclasses.replace(run, steps=steps)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    run = rich_run()
    other = dataclasses.replace(run, title="other", steps=run.steps[:2])
    values = [dataclasses.asdict(one) for one in (run, other, run)]
    comparison = compare(["first", "a-second-run-with-a-long-name", "third"], values)
    texts = {
        "report": render_page(run),
        "comparison": render_comparison(comparison, values),
    }
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in texts}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_browser()
    if program is None:
        pytest.skip("Chromium is not installed; apt-get install chromium")
    with Browser(program, tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    kept = os.environ.get("ALBERT_PICTURES")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize("name", ["report", "comparison"])
@pytest.mark.parametrize(("width", "is_dark"), LOOKS)
def test_every_section_can_be_read(
    browser: Browser,
    pages: dict[str, Path],
    pictures: Path,
    name: str,
    width: int,
    is_dark: bool,
) -> None:
    browser.open(pages[name], width=width, is_dark=is_dark)
    browser.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert browser.evaluate(CHECK) == []
    sections = browser.evaluate(SECTIONS)
    expected = {"tasks", "pretraining", "settings"} | (
        {"verdict", "task-0", "task-2", "use", "hardware", "steps"} if name == "report" else set()
    )
    assert expected <= {section["name"] for section in sections}
    for section in sections:
        data = browser.picture({key: section[key] for key in ("x", "y", "width", "height")})
        theme = "dark" if is_dark else "light"
        (pictures / f"{name}-{width}-{theme}-{section['name']}.png").write_bytes(data)
        picture = Image.open(io.BytesIO(data)).convert("RGB")
        assert picture.size[1] >= 40
        assert len(picture.getcolors(1 << 24)) > 20, section["name"]  # letters, not a blank


@pytest.mark.parametrize("name", ["report", "comparison"])
def test_it_prints(browser: Browser, pages: dict[str, Path], pictures: Path, name: str) -> None:
    browser.open(pages[name], width=1280, is_dark=True)
    data = browser.print_page()
    (pictures / f"{name}.pdf").write_bytes(data)
    assert data.startswith(b"%PDF")
    num_pages = len(re.findall(rb"/Type\s*/Page\b(?!s)", data))
    assert 1 <= num_pages <= 20
