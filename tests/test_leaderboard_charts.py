"""Plots: they show what the tables say, run nothing, and print hostile names as they are."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from board_records import card, record
from fontTools.ttLib import TTFont
from matplotlib import get_data_path
from synthward.leaderboard import charts, drawing
from synthward.leaderboard.aggregate import summarise
from synthward.leaderboard.board import FamilyScores, Section
from synthward.results.record import Record

HOSTILE = '<script>alert(1)#010101</script>"\'& role="a" {{datum}}'
SHARE = {"lower": 0.0, "upper": 1.0}
CARDS = {
    "shapes": card("shapes", **SHARE),
    "leak": card("leak", "min", family="privacy", **{**SHARE, "ideal": 0.0}),
    "fit_seconds": card("fit_seconds", "min", family="cost", ideal=0.0, lower=0.0, unit="s"),
    "sample_seconds": card("sample_seconds", "min", family="cost", ideal=0.0, lower=0.0, unit="s"),
    "auroc": card("auroc", family="utility", **SHARE),
}


def records(values: dict[str, tuple[float, float]], datasets: str = "abcdefghijkl", **more: object) -> list[Record]:
    """Of every generator its fidelity and its leak; beside the references, which are added."""
    rows = values | {"uniform": (0.0, 0.0), "real": (1.0, 0.0), "copy": (1.0, 1.0)}
    return [
        record(
            name,
            dataset,
            0,
            {"shapes": fidelity, "leak": leak, "auroc": fidelity, "fit_seconds": 2.0 - fidelity, "sample_seconds": 0.5},
            cards=CARDS,
            reference=name in ("uniform", "real", "copy"),
            **more,
        )
        for name, (fidelity, leak) in rows.items()
        for dataset in datasets
    ]


def section(given: list[Record]) -> tuple[Section, dict[str, FamilyScores]]:
    (found,) = summarise(given, draws=50).sections
    return found, {f.column.card.family: f for f in found.families}


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_the_front_is_who_nobody_beats_in_both():
    found, families = section(records({"a": (0.9, 0.5), "b": (0.5, 0.1), "c": (0.5, 0.4), "d": (0.9, 0.5)}))
    svg = charts.trade_off(found, families["privacy"], families["fidelity"])
    said = re.search('aria-label="([^"]*)"', svg)[1]
    assert said == "fidelity against privacy; on the front: a, b, d"
    assert {"a", "b", "c", "d", "copy", "uniform"} <= set(texts(svg))


def test_a_lower_cost_is_better():
    found, families = section(records({"a": (0.9, 0), "b": (0.5, 0)}))  # the better one is the cheaper one, too
    svg = charts.trade_off(found, families["cost"], families["utility"])
    assert "on the front: a&#34;" in svg or 'on the front: a"' in svg


def test_a_cost_of_nothing_is_no_point_on_a_logarithmic_axis():
    given = records({"a": (0.9, 0), "b": (0.5, 0)})
    free = [
        r.model_copy(update={"measurements": tuple(m.model_copy(update={"value": 0.0}) for m in r.measurements)})
        for r in given
        if r.generator.name == "a"
    ]
    found, families = section(given + free)
    assert "a" not in texts(charts.trade_off(found, families["cost"], families["utility"]))
    assert "b" in texts(charts.trade_off(found, families["cost"], families["utility"]))


def test_bars_join_who_is_not_told_apart():
    _, families = section(records({f"g{n}": (0.95 - 0.05 * n, 0) for n in range(5)}))
    svg = charts.critical_differences(families["fidelity"])
    assert texts(svg)[-5:] == [f"g{n}" for n in range(5)]
    # Mean ranks 1 to 5 and a critical difference of 1.76: four pairs of neighbours.
    assert svg.count('stroke-width="4"') == 4


def test_the_heat_map_prints_every_number():
    found, families = section(records({"a": (0.93, 0), "b": (0.57, 0)}, "xyz"))
    printed = texts(charts.heat_map(found, families["fidelity"]))
    assert printed.count("0.93") == printed.count("0.57") == 3
    assert {"x", "y", "z", "a", "b", "real", "uniform"} <= set(printed)


def test_names_are_printed_as_they_are_and_nothing_runs():
    given = records({HOSTILE: (0.9, 0), HOSTILE + "2": (0.5, 0), "c": (0.3, 0)}, "ab")
    given += records({"d": (0.5, 0)}, HOSTILE[:1])
    given = [r.model_copy(update={"dataset": r.dataset.model_copy(update={"name": HOSTILE})}) for r in given]
    found, families = section(given)
    drawn = [
        charts.trade_off(found, families["privacy"], families["fidelity"]),
        charts.heat_map(found, families["fidelity"]),
        charts.critical_differences(families["fidelity"]),
    ]
    for svg in drawn:
        tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(svg).iter()}
        assert tags <= {"svg", "g", "path", "line", "text", "rect"}
        assert not re.search(r'\s(on\w+|href|xlink:href|style)="', svg)
        assert "NaN" not in svg
        assert any(HOSTILE[:30] in text for text in texts(svg))


def test_control_characters_are_drawn_as_spaces():
    spec = {"data": {"values": [{"name": "a\x00\x0bb\ufffe"}]}, "mark": "text", "encoding": {"text": {"field": "name"}}}
    svg = drawing.drawn(spec, "c\x0bd")
    assert [text.strip() for text in texts(svg)] == ["a  b"]
    assert 'aria-label="c d"' in svg


def test_labels_of_near_points_do_not_cover_each_other():
    points = [{"label": f"generator_{n}", "x": 0.5 + 0.001 * n, "y": 0.5} for n in range(6)]
    charts._place_labels(points, points, (0.0, 1.0), (0.0, 1.0), logarithmic=False)
    boxes = [
        (x, y - 7, x + charts.LETTER * 11, y + 7)
        for x, y in ((charts.WIDTH * p["label_x"], charts.HEIGHT * p["label_y"]) for p in points)
    ]
    assert not any(charts._overlap(a, b) for n, a in enumerate(boxes) for b in boxes[:n])


def test_of_many_generators_those_on_the_front_are_named_and_of_many_cells_no_number_is_drawn():
    many = records({f"g{n:02}": (0.95 - 0.02 * n, 0.02 * n) for n in range(30)}, "abc")
    found, families = section(many)
    named = texts(charts.trade_off(found, families["privacy"], families["fidelity"]))
    assert [row.label for row in found.rows if row.label in named] == ["g00"]
    assert "0.9" not in " ".join(texts(charts.heat_map(*wide(found, families["fidelity"]))))


def wide(found, family):
    """The same with more datasets than a heat map has numbers for."""
    by_dataset = {g: {f"d{n}": 0.91 for n in range(40)} for g in family.by_dataset}
    tables = tuple(replace(found.datasets[0], label=f"d{n}") for n in range(40))
    return replace(found, datasets=tables), replace(family, by_dataset=by_dataset)


def test_no_placeholder_of_a_colour_is_left():
    found, families = section(records({f"g{n}": (0.95 - 0.1 * n, 0.1 * n) for n in range(9)}, "abc"))
    for svg in (
        charts.trade_off(found, families["privacy"], families["fidelity"]),
        charts.heat_map(found, families["fidelity"]),
        charts.critical_differences(families["fidelity"]),
    ):
        assert not re.search("#0101[0-9]{2}", svg)
        assert "var(--accent)" in svg


@pytest.mark.parametrize("names", [["a"], ["a" * 90, "a" * 91, "b"]])
def test_short_names_stay_apart(names):
    short = charts._short(names)
    assert len(set(short.values())) == len(names)
    assert all(len(name) <= charts.LABEL + 3 for name in short.values())


def test_plots_are_the_same_whatever_fonts_a_machine_has(tmp_path):
    wide = TTFont(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf")
    for name in wide["name"].names:
        if name.nameID in (1, 16):  # the family
            wide["name"].setName("system-ui", name.nameID, name.platformID, name.platEncID, name.langID)
    wide.save(tmp_path / "wide.ttf")
    fonts = tmp_path / "fonts.conf"
    fonts.write_text(f"<fontconfig><dir>{tmp_path}</dir></fontconfig>")
    draw = (
        "import os, sys; from synthward.leaderboard.drawing import drawn; "
        "axis = {'field': 'name', 'type': 'nominal'}; "
        "print(drawn({'data': {'values': [{'name': 'WWWWWWWWWWWW'}]}, 'mark': 'bar', 'encoding': {'y': axis}}, '')); "
        "print(os.environ['FONTCONFIG_FILE'], file=sys.stderr)"
    )
    drawn = [
        subprocess.run(
            [sys.executable, "-c", draw],
            env=os.environ | {"FONTCONFIG_FILE": str(file)},
            capture_output=True,
            text=True,
            check=True,
        )
        for file in (fonts, tmp_path / "none.conf")
    ]
    assert drawn[0].stdout == drawn[1].stdout
    assert "WWWWWWWWWWWW" in drawn[0].stdout
    assert drawn[0].stderr.strip() == str(fonts)  # which other libraries may look for
