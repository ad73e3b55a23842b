"""The site in a real browser: from a file, on a phone and a desk, in light and dark, with and without scripts."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from board_records import card, plausible, record, share
from browsing import AA, CONTRASTS, Visit
from scipy import stats
from synthward.leaderboard.aggregate import summarise
from synthward.leaderboard.build import build, write
from synthward.results.record import Status

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page
    from synthward.leaderboard.board import Board

PAGES = (
    "index.html",
    "compare.html",
    "metrics.html",
    "papers.html",
    "how-to-read.html",
    "protocols/standard.html",
    "datasets/support2.html",
    "generators/my-gan.html",
    "cells/pbc/bayesian-network.html",
)
OPEN = "document.querySelectorAll('details').forEach((d) => { d.open = true; })"


@pytest.fixture(scope="module")
def made() -> Board:
    return summarise(plausible())


@pytest.fixture(scope="module")
def site(made: Board, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(made, tmp_path_factory.mktemp("site")).parent


def first_table(page: Page) -> list[list[str]]:
    """Label and score of the rows of the main table that are seen, kind by kind."""
    return page.evaluate(
        """() => [...document.querySelector("table.sortable").tBodies].filter((b) => !b.classList.contains("kind"))
        .map((body) => [...body.rows].filter((row) => !row.hidden).map((row) => row.dataset.generator))"""
    )


def settle(page: Page) -> None:
    """Wait until what was asked of a table before is done: the library sorts a millisecond after a click."""
    page.evaluate("() => new Promise((done) => setTimeout(done, 5))")


def until(page: Page, expression: str) -> None:
    """Wait for something to be true. Playwright's own wait asks from within the page, whose policy forbids that."""
    for _ in range(400):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(25)
    pytest.fail(f"never true: {expression}")


def cell(page: Page, generator: str, column: str) -> str:
    """What stands in the main table, on one line; nothing if it is not to be seen."""
    found = page.locator(f'tr[data-generator="{generator}"] td[{column}]').first
    return " ".join(found.inner_text().split())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", PAGES)
def test_pages_open_from_a_file_in_peace_and_fit(
    browser: Browser, site: Path, name: str, width: int, scheme: str
) -> None:
    visit = Visit(browser, (site / name).as_uri(), width, scheme)
    with visit as page:
        page.evaluate(OPEN)
        assert visit.peaceful(site)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        # The style sheet is in force.
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
            "rgb(251, 251, 249)" if scheme == "light" else "rgb(17, 23, 22)"
        )
        assert len(set(page.screenshot())) > 100


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_pages_keep_the_rules_of_accessibility(browser: Browser, site: Path, name: str, scheme: str) -> None:
    with Visit(browser, (site / name).as_uri(), 1280, scheme) as page:
        page.evaluate(OPEN)
        found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]})
        serious = [v for v in found.response["violations"] if v["impact"] in ("serious", "critical")]
        assert [(v["id"], v["nodes"][0]["html"][:200]) for v in serious] == []
        assert len(found.response["passes"]) > 10


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read(browser: Browser, site: Path, scheme: str) -> None:
    with Visit(browser, (site / "protocols/standard.html").as_uri(), 1280, scheme) as page:
        page.evaluate(OPEN)
        contrasts = page.evaluate(CONTRASTS)
        assert len(contrasts) > 500
        assert [c for c in contrasts if c[0] < AA] == []


def test_the_name_of_the_generator_stays_in_sight(browser: Browser, site: Path) -> None:
    with Visit(browser, (site / "index.html").as_uri(), 390) as page:
        scroller = page.locator(".scroll").first
        name = scroller.locator("tbody th").first
        before = name.bounding_box()
        scroller.evaluate("(element) => { element.scrollLeft = 300; }")
        assert scroller.evaluate("(element) => element.scrollLeft") > 200
        assert name.bounding_box() == before


@pytest.mark.parametrize("width", [390, 1440])
def test_what_a_row_says_of_memory_leads_to_the_tests_behind_it(browser: Browser, site: Path, width: int) -> None:
    with Visit(browser, (site / "index.html").as_uri(), width) as page:
        page.locator("table.board a", has_text="memorised: 1 of 5 tables, 2 not tested").first.click()
        heading = page.locator("#contamination")
        heading.wait_for()
        box = heading.bounding_box()
        assert box is not None
        assert -1 <= box["y"] < 844
        table = page.locator("table.board", has=page.locator("tbody.contamination"))
        assert table.locator(".above").count() == 4
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_without_scripts_every_table_is_there_and_no_control(browser: Browser, site: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "index.html").as_uri())
    assert page.locator("tr[data-generator]").count() == 13
    assert not page.locator("#controls").is_visible()
    page.goto((site / "compare.html").as_uri())
    assert page.locator("noscript a").first.is_visible()
    context.close()


# --- what can be chosen ------------------------------------------------------------------------


def test_headings_sort_rows_within_their_kind_and_the_address_says_so(browser: Browser, site: Path) -> None:
    with Visit(browser, (site / "index.html").as_uri()) as page:
        before = first_table(page)
        page.locator("table.sortable th", has_text="fidelity").first.click()
        until(page, "location.hash.includes('sort')")
        settle(page)
        after = first_table(page)
        scores = [
            float(page.locator(f'tr[data-generator="{g}"] td[data-family=fidelity]').get_attribute("data-sort"))
            for g in after[0]
        ]
        assert scores == sorted(scores, reverse=True)
        assert [sorted(rows) for rows in after] == [sorted(rows) for rows in before]
        assert after != before
        page.locator("table.sortable th", has_text="fidelity").first.press("Enter")
        until(page, "location.hash.includes('ascending')")
        settle(page)
        assert first_table(page)[0] == after[0][::-1]
        address, upwards = page.evaluate("location.href"), first_table(page)
    with Visit(browser, address) as page:
        settle(page)
        assert first_table(page) == upwards


def test_a_choice_of_datasets_scores_them_alone_and_the_address_holds_it(
    browser: Browser, site: Path, made: Board
) -> None:
    fidelity = made.sections[0].families[0]
    chosen = ("pbc", "rhc", "vlbw")
    with Visit(browser, (site / "index.html").as_uri()) as page:
        whole = cell(page, "ctgan_300", "data-family=fidelity")
        page.locator("#controls summary").click()
        for name in chosen:
            page.locator(f'input[name=dataset][value="{name}"]').check()
        page.wait_for_selector("p.view:not([hidden])")
        assert "3 of 7 datasets: pbc, rhc, vlbw" in page.locator("p.view").first.inner_text()
        for label in ("ctgan_300", "bayesian_network", "uniform"):
            mean = np.mean([fidelity.by_dataset[label][name] for name in chosen])
            assert cell(page, label, "data-family=fidelity").startswith(f"{mean:.3f}".removeprefix("-"))
        assert "best" in cell(page, "bayesian_network", "data-family=fidelity")
        address, shown = page.url, cell(page, "ctgan_300", "data-family=fidelity")
        assert shown != whole
        page.locator("button[type=reset]").click()
        page.wait_for_selector("p.view", state="hidden")
        assert cell(page, "ctgan_300", "data-family=fidelity") == whole
        assert "#" not in page.url or page.url.endswith("#")
    with Visit(browser, address) as page:
        page.wait_for_selector("p.view:not([hidden])")
        assert cell(page, "ctgan_300", "data-family=fidelity") == shown
        assert page.locator("input[name=dataset]:checked").count() == 3


def test_access_and_families_hide_rows_and_columns(browser: Browser, site: Path) -> None:
    with Visit(browser, (site / "index.html").as_uri() + "#sees=all+training+rows&family=privacy") as page:
        page.wait_for_selector("td[data-family=fidelity]", state="hidden")
        seen = page.locator("tr[data-generator]:visible td.sees").all_inner_texts()
        assert set(seen) == {"all training rows"}
        assert page.locator("th[data-family=privacy]").is_visible()
        assert not page.locator("th[data-family=fidelity]").is_visible()


def test_a_metric_is_added_as_a_column_with_the_scores_of_its_page(browser: Browser, site: Path, made: Board) -> None:
    score = made.sections[0].rows[0].scores["tstr_auroc"]
    with Visit(browser, (site / "index.html").as_uri() + "#metric=tstr_auroc") as page:
        page.wait_for_selector("td[data-extra=metric] .value")
        said = cell(page, made.sections[0].rows[0].label, "data-extra=metric")
        assert said.startswith(f"{score.mean:.3f}")
        assert f"[{score.low:.3f}, {score.high:.3f}]" in said
        page.locator("#controls select[name=metric]").select_option("")
        page.wait_for_selector("[data-extra=metric]", state="detached")


HOLD_THE_FIRST_FILE = """() => {
  const append = document.head.append.bind(document.head);
  document.head.append = (script) => { document.head.append = append; window.release = () => append(script); };
}"""
ALL_LOADED = "Object.keys(synthward.loaded).length === 2"


def test_an_address_with_a_metric_and_an_order_by_it_stays_as_it_is(browser: Browser, site: Path) -> None:
    said = "metric=tstr_auroc&sort=0%3A7%3Aascending"
    with Visit(browser, (site / "index.html").as_uri() + f"#{said}") as page:
        page.wait_for_selector("th[data-extra=metric][aria-sort=ascending]")
        settle(page)
        rows = first_table(page)[0]
        values = [
            float(page.locator(f'tr[data-generator="{g}"] td[data-extra=metric]').get_attribute("data-sort"))
            for g in rows
        ]
        assert values == sorted(values)
        assert page.url.endswith(said)


def test_the_last_choice_is_shown_though_an_earlier_one_took_longer_to_load(browser: Browser, site: Path) -> None:
    with Visit(browser, (site / "index.html").as_uri()) as page:
        page.evaluate(HOLD_THE_FIRST_FILE)
        page.locator("#controls summary").click()
        for metric in ("column_shapes", "tstr_auroc"):
            page.locator("#controls select[name=metric]").select_option(metric)
        shown = page.locator("th[data-extra=metric]").first.inner_text()
        page.evaluate("release()")
        until(page, ALL_LOADED)
        settle(page)
        assert page.locator("th[data-extra=metric]").first.inner_text() == shown
        assert "tstr auroc" in shown


def test_the_last_comparison_is_shown_though_an_earlier_one_took_longer_to_load(
    browser: Browser, tmp_path: Path
) -> None:
    made = [
        record(name, "a", 0, {"m": 0.5}, protocol={"ratio": ratio}).model_copy(update={"protocol": called})
        for name in ("g", "h")
        for ratio, called in ((1, "standard"), (2, "doubled"))
    ]
    index = build(made, tmp_path)
    with Visit(browser, index.with_name("compare.html").as_uri()) as page:
        caption = page.locator("#compared caption")
        caption.wait_for(state="attached")
        shown = caption.text_content()
        page.evaluate(HOLD_THE_FIRST_FILE)
        for protocol in ("1", "0"):
            page.locator("select[name=protocol]").select_option(protocol)
        page.evaluate("release()")
        until(page, ALL_LOADED)
        settle(page)
        assert caption.text_content() == shown


@pytest.mark.parametrize("instead", ["", "<!doctype html>"])  # as hosts answer for what is not there
def test_values_that_cannot_be_loaded_are_one_line_until_they_can(
    browser: Browser, tmp_path: Path, instead: str
) -> None:
    index = build([record(name, "a", 0, {"m": 0.5}) for name in ("g", "h")], tmp_path)
    (values,) = (tmp_path / "data").rglob("*.js")
    content = values.read_bytes()
    values.unlink()
    if instead:
        values.write_text(instead)
    with Visit(browser, index.as_uri()) as page:
        page.locator("#controls summary").click()
        page.locator("#controls select[name=metric]").select_option("m")
        page.wait_for_selector("p.view:not([hidden])")
        assert "m.js could not be loaded" in page.locator("p.view").inner_text()
        assert page.locator("[data-extra=metric]").count() == 0
        page.goto(index.with_name("compare.html").as_uri())
        page.get_by_text("m.js could not be loaded").wait_for()
        values.write_bytes(content)
        page.locator("input[name=generator]").first.uncheck()
        page.locator("input[name=generator]").first.check()
        page.wait_for_selector("#compared table")


def test_the_overall_view_weighs_as_the_reader_says(browser: Browser, site: Path, made: Board) -> None:
    families = {f.column.card.name: f.by_dataset["ctgan_300"] for f in made.sections[0].families if f.floor}
    with Visit(browser, (site / "index.html").as_uri()) as page:
        assert page.locator("[data-extra=overall]").count() == 0  # unless it is asked for
        page.locator("#controls summary").click()
        page.locator("input[name=overall]").check()
        weights = {"fidelity": 3.0, "utility": 0.5, "privacy": 1.0}
        for name, weight in weights.items():
            page.locator(f"input[name=weight-{name}]").fill(str(weight))
        settle(page)
        common = set.intersection(*(set(known) for known in families.values()))
        by_dataset = [sum(w * families[n][d] for n, w in weights.items()) / 4.5 for d in common]
        assert cell(page, "ctgan_300", "data-extra=overall").startswith(f"{np.mean(by_dataset):.3f}"[:4])
        assert "weight-fidelity=3" in page.url


def test_the_compare_page_gives_paired_differences_with_their_test(browser: Browser, site: Path, made: Board) -> None:
    fidelity = made.sections[0].families[0]
    address = (
        site / "compare.html"
    ).as_uri() + "#protocol=standard&generator=ctgan_300&generator=bayesian_network&generator=tvae"
    visit = Visit(browser, address)
    with visit as page:
        page.wait_for_selector("#compared table")
        heads = page.locator("#compared thead th").all_inner_texts()
        assert [h.strip() for h in heads] == ["Score or metric", "ctgan_300", "bayesian_network", "tvae"]
        row = page.locator("#compared tbody tr", has_text="fidelity ↑").first
        differences = {
            g: np.array([fidelity.by_dataset[g][d] - v for d, v in fidelity.by_dataset["ctgan_300"].items()])
            for g in ("bayesian_network", "tvae")
        }
        raw = [stats.wilcoxon(d).pvalue for d in differences.values()]
        least = min(1, 2 * min(raw))
        corrected = [least if p == min(raw) else max(least, p) for p in raw]  # Holm, of two
        for n, (g, apart) in enumerate(differences.items()):
            said = row.locator("td").nth(1 + n).inner_text().replace("−", "-")
            assert f"{apart.mean():+.3f}" in said, g
            assert f"p {corrected[n]:.3f}" in said, g
            assert "7 datasets" in said
            low, high = (float(end) for end in re.search(r"\[(.*), (.*)\]", said).groups())
            assert low < apart.mean() < high
            assert high - low == pytest.approx(2 * 1.96 * apart.std() / np.sqrt(len(apart)), rel=0.35)
        page.locator("select[name=baseline]").select_option("tvae")
        until(page, "document.querySelector('#compared thead').textContent.startsWith('Score or metrictvae')")
        assert "Differences are from tvae" in page.locator("p.view").inner_text()
        assert visit.peaceful(site)


def taken(page: Page, named: str) -> list[list[str]]:
    """The rows of the file that the button of a table gives."""
    with page.expect_download() as found:
        page.get_by_role("button", name=f"CSV as shown: {named}").first.click()
    assert re.fullmatch(r"[a-z0-9-]+\.csv", found.value.suggested_filename)
    return list(csv.reader(found.value.path().open(encoding="utf-8", newline="")))


def test_the_values_of_a_cell_can_be_taken_away(browser: Browser, site: Path, made: Board) -> None:
    evidence = made.evidence[0]
    visit = Visit(browser, (site / "cells" / "pbc" / "bayesian-network.html").as_uri())
    with visit as page:
        page.evaluate(OPEN)
        heads, *rows = taken(page, "Values in standard")
        assert heads[:3] == ["Metric", "Mean", "seed 0, split 0"]
        own = [n for n, (dataset, *_) in enumerate(evidence.keys) if dataset == "pbc"]
        values = {m: v[evidence.generators.index("bayesian_network"), own] for m, v in evidence.values.items()}
        assert len(rows) == sum(not np.isnan(v).all() for v in values.values())
        first = next(row for row in rows if row[0].startswith("column shapes"))
        np.testing.assert_allclose([float(v) for v in first[2:]], values["column_shapes"], rtol=1e-11)
        assert [row[0] for row in taken(page, "Repeats in standard")[1:]] == [str(evidence.keys[n][2]) for n in own]
        assert visit.peaceful(site)


def test_a_table_is_taken_away_as_it_is_shown(browser: Browser, site: Path, made: Board) -> None:
    visit = Visit(browser, (site / "index.html").as_uri() + "#sees=all+training+rows")
    with visit as page:
        page.locator("table.sortable th", has_text="fidelity").first.click()
        settle(page)
        shown = [label for body in first_table(page) for label in body]
        heads, *rows = taken(page, "Main table of standard")
        assert [row[0].split()[0] for row in rows] == shown
        assert 0 < len(shown) < len(made.sections[0].rows)
        at = next(n for n, head in enumerate(heads) if head.startswith("fidelity"))
        assert heads[at + 1] == f"{heads[at]}, interval"
        family = made.sections[0].families[0]
        for row in rows:
            score = family.scores[row[0]]
            assert float(row[at]) == pytest.approx(score.mean, rel=1e-11)
            assert row[at + 1] == f"[{score.low:.3f}, {score.high:.3f}]".replace("-", "−")
        assert visit.peaceful(site)


def test_what_a_number_lacks_is_taken_away_with_it_and_so_is_the_kind_of_a_row(
    browser: Browser, tmp_path: Path
) -> None:
    values = {"g": (0.5, 0.6), "h, or i": (0.4, None), "real": (0.9, 0.9)}
    made = [
        record(
            name,
            dataset,
            0,
            {"m": 0.5} | ({} if k is None else {"k": k}),
            access="reference" if name == "real" else "rows",
        )
        for name, (first, second) in values.items()
        for dataset, k in (("a", first), ("b", second))
    ]
    out = build(made, tmp_path).parent
    (protocol,) = (out / "protocols").iterdir()
    with Visit(browser, protocol.as_uri()) as page:
        heads, *rows = taken(page, "Fidelity")
        note = next(n for n, head in enumerate(heads) if head.endswith(", note"))
        assert heads[note].startswith("k")
        assert {row[0]: row[note] for row in rows} == {"g": "", "h, or i": "1/2 cells", "real": ""}
        assert [bool(row[heads.index("Group")]) for row in rows] == [False, False, True]


def test_a_comparison_is_taken_away_with_a_row_for_each_generator(browser: Browser, site: Path, made: Board) -> None:
    visit = Visit(browser, (site / "compare.html").as_uri() + "#protocol=standard&generator=ctgan_300&generator=tvae")
    with visit as page:
        page.wait_for_selector("#compared table")
        heads, *rows = taken(page, "Comparison")
        assert heads == ["metric", "generator", "mean", "difference", "low", "high", "p_corrected", "datasets"]
        assert len(rows) == 2 * (len(made.sections[0].columns) + len(made.sections[0].families))
        by_dataset = made.sections[0].families[0].by_dataset
        apart = np.array([by_dataset["tvae"][d] - v for d, v in by_dataset["ctgan_300"].items()])
        first, other = rows[:2]
        assert first[1::2] == ["ctgan_300", "", "", ""]
        assert other[1] == "tvae"
        assert float(other[3]) == pytest.approx(apart.mean(), abs=1e-3)
        assert float(other[4]) < apart.mean() < float(other[5])
        assert float(other[6]) == pytest.approx(stats.wilcoxon(apart).pvalue, rel=1e-6)
        assert visit.peaceful(site)


def test_a_hostile_record_runs_nothing_and_breaks_no_layout(browser: Browser, tmp_path: Path) -> None:
    evil = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">" + "x" * 300
    params = {evil: evil, "llm": {"endpoint": "embedded", "model": evil}}
    told = {evil: 0.5, "memorisation": [share("header", 1, 4, 0.0, status=Status.PARTIAL, reason=evil)]}
    cards = {evil: card(evil, definition=evil, citation=evil, unit=evil)}
    records = [
        record(name, name, seed, told, title=evil, params=params, cards=cards).model_copy(update={"protocol": evil})
        for seed in (0, 1)
        for name in (evil, f"../../../{evil}", "a" * 1_000_000, "CON", "..", "-")
    ]
    build(records, tmp_path)
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) == 5 + 1 + 3 * 6
    for path in pages:
        visit = Visit(browser, path.as_uri(), 390)
        with visit as page:
            page.evaluate(OPEN)
            page.wait_for_timeout(20)
            assert visit.peaceful(tmp_path)
            assert page.title().endswith("synthward leaderboard")
            assert page.evaluate("document.documentElement.scrollWidth") == 390
            assert page.locator("img").count() == 0
            assert path.stat().st_size < 200_000
    with Visit(browser, (tmp_path / "index.html").as_uri() + "#metric=" + evil) as page:
        page.wait_for_timeout(100)
        assert page.title() == "synthward leaderboard"
