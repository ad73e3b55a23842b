"""Drawn portraits: they show their numbers, beside a table that says them, and print hostile names as they are."""

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
from jinja2 import ChoiceLoader, DictLoader, PackageLoader
from metric_tables import WARD, damaged, evaluation, ward
from synthward.leaderboard import page, portraits
from synthward.metrics.portrait import portray
from synthward.results.portrait import Associations, Breakdown, Distances, Drawn, Marginal, Portrait, Side
from test_leaderboard_browser import AA, CONTRASTS, browser, open_page  # noqa: F401

HOSTILE = "<script>alert(1)</script>\"'&{{ 7 * 7 }}\u202e"
PAGE = """{% from "portrait.html.j2" import portrait %}
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><link rel="icon" href="data:,">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-{{ style_hash }}'">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>A cell</title>
<style>{{ style }}</style></head>
<body><main><h1>A cell</h1>{{ portrait(drawn) }}</main></body></html>
"""
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def document():
    """Renders a portrait in the house's style, as a page of the board does."""
    patch = pytest.MonkeyPatch()
    patch.setattr(page, "PackageLoader", lambda name: ChoiceLoader([DictLoader({"cell": PAGE}), PackageLoader(name)]))
    yield lambda portrait: page.document("cell", drawn=portrait, portraits=portraits)
    patch.undo()


@pytest.fixture(scope="module")
def plain():
    found = portray(evaluation(damaged(WARD, ward(90, seed=9))))
    return found.with_breakdowns([Breakdown(metric="column_shapes", parts={"age": 0.5, "sex": None})], ())


def hostile():
    side = Side(shares=(0.5, 0.25), other=0.25)
    column = Marginal(name=HOSTILE, kind="categorical", categories=(HOSTILE, ""), real=side, synthetic=side)
    return Portrait(
        real=Drawn(rows=5000, of=9000),
        synthetic=Drawn(rows=9, of=9),
        seed=0,
        columns=(column,),
        left_out=(HOSTILE,),
        associations=Associations(
            names=(HOSTILE, "b"), real=((), (0.5,)), synthetic=((), (None,)), left_out=(HOSTILE,)
        ),
        distances=Distances(edges=(0.0, 0.1), train=(1.0,), control=(1.0,), rows=9, among=5),
        breakdowns=(Breakdown(metric=HOSTILE, variant=HOSTILE, parts={HOSTILE: 0.5}),),
    )


def parsed(svg):
    return ET.fromstring(str(svg).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def words(svg):
    return [element.text for element in parsed(svg).iter(f"{SVG}text")]


def path(svg, name):
    (found,) = (e.get("d") for e in parsed(svg).iter(f"{SVG}path") if e.get("class") == name)
    return found


def numbered(**changes):
    facts = {
        "name": "x",
        "kind": "continuous",
        "edges": (0.0, 1.0, 2.0),
        "real": Side(shares=(0.5, 0.25), missing=0.25),
        "synthetic": Side(shares=(1.0, 0.0)),
    }
    return Marginal(**{**facts, **changes})


def test_bars_and_outline_are_as_high_as_the_shares():
    svg = portraits.marginal(numbered(real=Side(shares=(0.75, 0.25)), synthetic=Side(shares=(1.0, 0.0))))
    heights = [float(h) / portraits.HEIGHT for h in re.findall(r"v-([\d.]+)", path(svg, "real"))]
    assert heights == [0.75, 0.25]
    rest = [float(v) for v in re.findall(r"V([\d.]+)", path(svg, "made"))]
    assert rest == [0, portraits.HEIGHT, portraits.HEIGHT]
    assert parsed(svg).get("aria-label") == "x: shares of real and synthetic rows, which differ by 25.0 %"


def test_missing_values_have_a_bar_of_their_own_that_leaves_the_others_high():
    svg = portraits.marginal(numbered(real=Side(shares=(0.02, 0.01), missing=0.97)))
    assert "missing" in words(svg)
    frames = [e.get("class") for e in parsed(svg).iter(f"{SVG}path")]
    assert frames.count("real") == frames.count("made") == 2
    assert "missing" not in words(portraits.marginal(numbered(real=Side(shares=(0.5, 0.5)))))


def test_the_table_says_what_the_drawing_shows(plain):
    column = numbered()
    assert portraits.shares(column) == [("below 1", 0.5, 1.0), ("1 or more", 0.25, 0.0), ("missing", 0.25, 0.0)]
    assert portraits.apart(column) == 0.5
    for column in plain.columns:
        found = portraits.shares(column)
        assert sum(real for _, real, _ in found) == pytest.approx(1, abs=1e-3)
        assert len(found) >= len(column.categories) or len(found) >= len(column.edges) - 1


@pytest.mark.parametrize(
    ("edges", "labels"),
    [
        ((0.0, 0.5, 1.0, 1.5), ["below 0.5", "0.5 to 1", "1 or more"]),
        ((-0.5, 0.5, 1.5, 2.5), ["0 or less", "1", "2 or more"]),
        ((-10.5, -5.5, -0.5, 4.5), ["−6 or less", "−5 to −1", "0 or more"]),
        ((6.5, 7.5), ["7"]),
        ((0.0, 1.0), ["0 to 1"]),
    ],
)
def test_bins_in_words(edges, labels):
    assert portraits.bins(edges) == labels


@pytest.mark.parametrize(
    ("share", "said"), [(0, "0.0 %"), (1, "100.0 %"), (0.1234, "12.3 %"), (0.0001, "< 0.1 %"), (0.0006, "0.1 %")]
)
def test_percent(share, said):
    assert portraits.percent(share) == said


def test_heat_maps_tell_sign_and_strength_and_what_is_undefined():
    found = Associations(names=("a", "b", "c"), real=((), (0.9,), (-0.4, 0.01)), synthetic=((), (0.2,), (-0.4, None)))
    real, synthetic, difference = (svg for _, svg in portraits.associations(found))
    assert words(real) == ["a", "b", "c"]
    assert [e.get("class") for e in parsed(real).iter(f"{SVG}path")] == ["p5", "n3", "p0", "minus"]
    assert [e.get("class") for e in parsed(synthetic).iter(f"{SVG}path")] == ["p2", "n3", "none", "minus"]
    assert [e.get("class") for e in parsed(difference).iter(f"{SVG}path")] == ["n5", "p0", "none", "minus"]
    assert path(real, "p5").startswith(f"M0.5 {portraits.CELL + 0.5}")
    assert portraits.pairs(found) == [
        ("a", "b", 0.9, 0.2, pytest.approx(-0.7)),
        ("a", "c", -0.4, -0.4, 0.0),
        ("b", "c", 0.01, None, None),
    ]
    assert len(portraits.scale()) == 2 * len(portraits.STEPS) + 2


def test_distances_show_control_as_bars_and_train_as_the_outline():
    found = Distances(edges=(0.0, 0.1, 0.2), train=(1.0, 0.0), control=(0.25, 0.75), rows=9, among=5)
    svg = portraits.distances(found)
    high = portraits.DISTANCES[1]
    heights = [float(h) for h in re.findall(r"v-([\d.]+)", path(svg, "real"))]
    assert heights == [0.25 * high, 0.75 * high]
    assert [float(v) for v in re.findall(r"V([\d.]+)", path(svg, "made"))][:2] == [0, high]


class Tags(HTMLParser):
    """Tags and attributes of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.labels = [], set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "svg":
            self.labels.append(dict(attrs).get("aria-label") or dict(attrs).get("aria-hidden"))


@pytest.mark.parametrize("which", ["plain", "hostile"])
def test_a_page_has_no_script_no_inline_style_and_a_name_for_every_drawing(document, plain, which):
    text = document(plain if which == "plain" else hostile())
    tags = Tags()
    tags.feed(text)
    assert not {"script", "img", "iframe", "a"} & set(tags.tags)
    assert not {a for a in tags.attributes if a.startswith("on")} | ({"style"} & tags.attributes)
    assert all(tags.labels)
    assert "\u202e" not in text
    assert "49" not in re.findall(r"alert\(1\).{0,60}", text)[0] if which == "hostile" else True


def test_a_page_says_what_was_left_out_and_drawn(document, plain):
    text = document(hostile())
    assert "5,000 of 9,000, drawn train rows" in text
    assert text.count("Not shown, as there are too many columns") == 2
    assert "Not shown" not in document(plain)
    assert "column shapes, in parts" in document(plain)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_a_page_opens_in_peace_fits_and_can_be_read(browser, document, plain, tmp_path, width, scheme):  # noqa: F811
    file = tmp_path / "cell.html"
    file.write_text(document(plain))
    opened, events = open_page(browser, file, width, scheme)
    assert events == [file.as_uri()]
    opened.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert opened.evaluate("document.documentElement.scrollWidth") == width
    assert [c for c in opened.evaluate(CONTRASTS) if c[0] < AA] == []
    filled, outlined = (
        opened.evaluate(f"getComputedStyle(document.querySelector('svg .{name}')).fill") for name in ("real", "made")
    )
    assert outlined == "none"
    assert filled != "rgb(0, 0, 0)"
    opened.close()
