"""Charts of a report and how its numbers are written."""

import math
import re
import warnings
from xml.etree import ElementTree

import matplotlib
import pytest

from components.number_formats import (
    format_duration,
    format_gain,
    format_number,
    format_percent,
    format_points,
)
from components.report.charts import loss_chart, masked_lm_chart
from components.report.page import format_metric, render_page
from components.report.reference_run import reference_history
from tests.helpers.report_pages import Page, make_run, make_task


def test_one_row_and_missing_values_are_drawn_without_warnings() -> None:
    row = {"global_step": 0, "loss": math.nan, "train_loss": None, "masked_lm_accuracy": 0.05}
    flat = make_task("flat", score=math.nan, history=[{"global_step": 1, "accuracy": 0.5}] * 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = Page(render_page(make_run(pretraining_history=[row], tasks=[flat])))
    assert page.tags.count("svg") == 2
    assert "nan" not in " ".join(page.texts).lower()


def test_chart_is_one_element_with_text_and_theme_colours() -> None:
    svg = masked_lm_chart(make_run().pretraining_history, 0.05)
    root = ElementTree.fromstring(svg)
    texts = ["".join(element.itertext()) for element in root.iter() if element.tag.endswith("text")]
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    named = {"global step", "accuracy (%)", "held-out", "reference run", "most frequent token"}
    assert named <= set(texts)
    assert "var(--series-1, #0072b2)" in svg
    assert "stroke-dasharray" in svg
    assert "<style" not in svg


def test_lines_follow_the_values() -> None:
    svg = loss_chart([{"global_step": 10, "loss": 4.0}, {"global_step": 20, "loss": 2.0}])
    paths = re.findall(r'<path d="M ([^"]+)" [^>]*stroke: var\(--series-1', svg)
    (x1, y1), (x2, y2) = [map(float, point.split()) for point in paths[0].split("L ")]
    assert x1 < x2
    assert y1 < y2  # a smaller loss is lower on the page


def test_the_reference_run_ends_where_the_run_does() -> None:
    steps = [row["global_step"] for row in reference_history(330)]
    assert steps[0] == pytest.approx(30)
    assert steps[-1] == 330


def test_charts_leave_matplotlib_as_it_was() -> None:
    before = dict(matplotlib.rcParams)
    assert loss_chart(make_run().pretraining_history)
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(
    ("formatted", "expected"),
    [
        (format_points(0.7834), "78.3"),
        (format_points(-0.00001), "0.0"),
        (format_points(None), "–"),
        (format_gain(-0.0312), "−3.1"),
        (format_gain(0.1), "+10.0"),
        (format_gain(-0.0001), "0.0"),
        (format_percent(0.0), "0.0%"),
        (format_percent(1.0), "100.0%"),
        (format_percent(0.000213), "0.0213%"),
        (format_number(1234567), "1,234,567"),
        (format_number(12345.678), "12,346"),
        (format_number(3.14159), "3.142"),
        (format_number(math.inf), "–"),
        (format_duration(4.21), "4.2 s"),
        (format_duration(59.97), "1 min 00 s"),
        (format_duration(3599.8), "1 h 00 min"),
        (format_duration(7500), "2 h 05 min"),
        (format_metric(0.0613, "padding_fraction"), "6.1%"),
        (format_metric(61, "seconds"), "1 min 01 s"),
        (format_metric(512, "sequence_length"), "512"),
        (format_metric("lamb", "optimizer"), "lamb"),
        (format_metric(True, "is_whole"), "true"),
        (format_metric(None, "null_threshold"), "–"),
    ],
)
def test_formats(formatted: str, expected: str) -> None:
    assert formatted == expected
