"""Drawn portraits: they show their numbers, beside a table that says them, and print hostile names as they are."""

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
from browsing import AA, CONTRASTS, Visit
from jinja2 import ChoiceLoader, DictLoader, PackageLoader
from metric_tables import WARD, damaged, evaluation, ward
from synthward.leaderboard import drawing, page, portraits
from synthward.metrics.portrait import portray
from synthward.results.portrait import Associations, Breakdown, Distances, Drawn, Marginal, Portrait, Side

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
    page._environment.cache_clear()
    yield lambda portrait: page.document("cell", drawn=portrait)
    patch.undo()
    page._environment.cache_clear()


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
    return ET.fromstring(str(svg))


def words(svg):
    return [element.text for element in parsed(svg).iter(f"{SVG}text")]


def paths(svg, paint="fill"):
    """The shapes of a drawing by their colour, each a list of lists of corners from its bottom left end."""
    found = {}
    for element in parsed(svg).iter(f"{SVG}path"):
        if colour := element.get(paint):
            assert colour not in found
            found[colour] = [
                [tuple(float(n) for n in corner.split(",")) for corner in re.split("[LhvZ]", shape) if "," in corner]
                for shape in element.get("d").split("M")[1:]
            ]
    return found


def heights(stairs, width, height):
    """Of the steps of equal width, from a path of their corners."""
    inner = stairs[2:-1:2]
    assert [x for x, _ in inner] == pytest.approx([stairs[0][0] + n * width for n in range(len(inner))], abs=0.02)
    return pytest.approx([(height - y) / height for _, y in inner], abs=1e-3)


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
    (filled,), (outlined,) = paths(svg)["var(--real)"], paths(svg, "stroke")["var(--accent)"]
    assert heights(filled, portraits.WIDTH / 2, portraits.HEIGHT) == [0.75, 0.25]
    assert heights(outlined, portraits.WIDTH / 2, portraits.HEIGHT) == [1, 0]
    assert filled[0] == (0, portraits.HEIGHT)
    assert filled[-1] == (portraits.WIDTH, portraits.HEIGHT)
    assert parsed(svg).get("aria-label") == "x: shares of real and synthetic rows, which differ by 25.0 %"
    assert words(svg) == ["100.0 %", "0", "2"]


def test_missing_values_have_a_bar_of_their_own_that_leaves_the_others_high():
    svg = portraits.marginal(numbered(real=Side(shares=(0.02, 0.01), missing=0.97)))
    assert "missing" in words(svg)
    for shapes in (
        paths(svg)["var(--real)"],
        paths(svg, "stroke")["var(--accent)"],
        paths(svg, "stroke")["var(--dim)"],
    ):
        assert len(shapes) == 2
    bar = paths(svg)["var(--real)"][1]
    assert heights(bar, portraits.WIDTH * 0.075, portraits.HEIGHT) == [0.97]
    assert bar[0][0] > portraits.WIDTH
    whole = portraits.marginal(numbered(real=Side(shares=(0.5, 0.5))))
    assert "missing" not in words(whole)
    assert len(paths(whole)["var(--real)"]) == 1


def test_categories_are_bars_and_outlines_with_their_shares_in_words():
    real, made = Side(shares=(0.75, 0.25)), Side(shares=(0.1, 0.3), other=0.6)
    column = Marginal(name="x", kind="categorical", categories=("a" * 40, "b"), real=real, synthetic=made)
    svg = portraits.marginal(column)
    assert words(svg) == ["a" * 13 + "…", "b", "all others", "75 → 10 %", "25 → 30 %", "0 → 60 %"]
    lengths = [
        [float(n) for n in re.findall(r"M0,[\d.]+h([\d.]+)", e.get("d"))] for e in parsed(svg).iter(f"{SVG}path")
    ]
    longest = lengths[0][0]
    assert lengths == [
        pytest.approx([longest, longest / 3, 0], abs=0.01),
        pytest.approx([longest * 0.1 / 0.75, longest * 0.4, longest * 0.8], abs=0.01),
    ]
    assert list(paths(svg)) == ["var(--real)"]
    assert list(paths(svg, "stroke")) == ["var(--accent)"]


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
    negative, soft, strong = "var(--negative-3)", "var(--soft)", "var(--positive-5)"
    dash = "var(--panel)"
    assert list(paths(real)) == [negative, soft, strong, dash]
    assert list(paths(synthetic)) == [negative, "var(--positive-2)", dash]
    assert list(paths(difference)) == ["var(--negative-4)", soft, dash]
    assert list(paths(real, "stroke")) == []
    assert list(paths(synthetic, "stroke")) == list(paths(difference, "stroke")) == ["var(--line)"]
    # The second name with the first; the third with both.
    assert paths(real)[strong][0][0] == (0.5, portraits.CELL + 0.5)
    assert paths(real)[negative][0][0] == (0.5, 2 * portraits.CELL + 0.5)
    assert paths(synthetic, "stroke")["var(--line)"][0][0] == (portraits.CELL + 0.5, 2 * portraits.CELL + 0.5)
    (((x, y),),) = (shape[:1] for shape in paths(real)[dash])
    assert 0 < x < portraits.CELL
    assert 2 * portraits.CELL < y < 3 * portraits.CELL
    assert portraits.pairs(found) == [
        ("a", "b", 0.9, 0.2, pytest.approx(-0.7)),
        ("a", "c", -0.4, -0.4, 0.0),
        ("b", "c", 0.01, None, None),
    ]


def test_the_legend_has_a_cell_for_every_colour():
    cells, said = zip(*portraits.scale(), strict=True)
    colours = [next(iter(paths(cell)), None) for cell in cells]
    down, up = ([f"var(--{sign}-{n})" for n in range(1, 6)] for sign in ("negative", "positive"))
    assert colours == [*reversed(down), "var(--soft)", *up, None]
    assert said[0] == "below −0.7"
    assert said[5:7] == ("−0.05 to 0.05", "0.05 to 0.15")
    assert ["var(--panel)" in paths(cell) for cell in cells] == [True] * 5 + [False] * 7


def test_distances_show_control_as_bars_and_train_as_the_outline():
    found = Distances(edges=(0.0, 0.1, 0.2), train=(1.0, 0.0), control=(0.25, 0.75), rows=9, among=5)
    svg = portraits.distances(found)
    width, height = portraits.DISTANCES
    (filled,), (outlined,) = paths(svg)["var(--real)"], paths(svg, "stroke")["var(--accent)"]
    assert heights(filled, width / 2, height) == [0.25, 0.75]
    assert heights(outlined, width / 2, height) == [1, 0]
    assert words(svg) == ["100.0 %", "0", "0.1", "0.2"]


def test_many_columns_are_few_kinds_of_plots_and_few_bytes(plain):
    drawing._compiled.cache_clear()
    for column in plain.columns:
        assert len(portraits.marginal(column)) < 4_000
    assert drawing._compiled.cache_info().misses == 2
    strengths = tuple(tuple((-1) ** m * m / 40 for m in range(n)) for n in range(40))
    found = Associations(names=tuple(f"column {n}" for n in range(40)), real=strengths, synthetic=strengths)
    for _, svg in portraits.associations(found):
        assert len(svg) < 30_000
    assert drawing._compiled.cache_info().misses == 3


def test_hostile_names_are_text_and_nothing_else():
    found = hostile()
    printed = []
    for svg in (portraits.marginal(found.columns[0]), *(svg for _, svg in portraits.associations(found.associations))):
        assert {element.tag.removeprefix(SVG) for element in parsed(svg).iter()} <= {"svg", "g", "path", "text"}
        assert not {name for e in parsed(svg).iter() for name in e.attrib} & {"style", "href", "onclick", "class"}
        printed += words(svg)
    assert printed.count(f"{HOSTILE[: portraits.LABEL - 1]}…") == 3
    assert f"{HOSTILE[: portraits.CATEGORY - 1]}…" in printed


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
def test_a_page_opens_in_peace_fits_and_can_be_read(browser, document, plain, tmp_path, width, scheme):
    file = tmp_path / "cell.html"
    file.write_text(document(plain))
    visit = Visit(browser, file.as_uri(), width, scheme)
    with visit as opened:
        opened.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        assert visit.peaceful(tmp_path)
        assert opened.evaluate("document.documentElement.scrollWidth") == width
        assert [c for c in opened.evaluate(CONTRASTS) if c[0] < AA] == []
        filled, swatch, outlined = (
            opened.evaluate(f"getComputedStyle(document.querySelector('{path}')).{paint}")
            for path, paint in (
                ('figure path[fill="var(--real)"]', "fill"),
                (".swatch.real", "backgroundColor"),
                ('figure path[stroke="var(--accent)"]', "fill"),
            )
        )
        assert filled == swatch != "rgb(0, 0, 0)"
        assert outlined == "none"
