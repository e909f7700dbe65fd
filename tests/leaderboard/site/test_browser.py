"""The pages as a reader has them: opened from a folder, in a browser that reaches no network."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grapebench.cli.main import main
from grapebench.leaderboard import store
from grapebench.leaderboard.site import build
from grapebench.paths import results_dir
from tests.leaderboard.site.made import EVIL, Add

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
if not Path(CHROMIUM).exists():
    pytest.skip("Chromium is not installed: apt-get install chromium", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")

Open = Callable[..., Any]
CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const luminance = ([r, g, b]) => {
    const part = (v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const ground = (one) => {
    for (; one; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const weak = [];
  for (const one of document.querySelectorAll("body *")) {
    const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !one.checkVisibility() || one.closest("svg, :disabled, option, .hidden-text")) continue;
    const [a, b] = [luminance(parse(getComputedStyle(one).color)), luminance(ground(one))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) weak.push(`${one.tagName}.${one.className}: ${ratio.toFixed(2)}: ${one.textContent.slice(0, 40)}`);
  }
  return weak;
}"""
UNNAMED = """() => [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")]
  .filter((one) => one.checkVisibility())
  .filter((one) => !(one.getAttribute("aria-label") || "").trim() && !one.textContent.trim())
  .filter((one) => !(one.labels && one.labels.length && one.labels[0].textContent.trim()))
  .map((one) => one.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Open]:
    """Opens a page of a site; whatever a page complains of, or asks the network for, fails the test at its end."""
    contexts, complaints, asked = [], [], []

    def go(path: Path, place: str = "", *, width: int = 1280, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 800}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri() + place)
        return page

    yield go
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith("file:")] == []


@pytest.fixture
def site(some: Path, tmp_path: Path) -> Path:
    return build([some], tmp_path / "site", tmp_path / "nothing").folder


def result_page(site: Path, some: Path, name: str = "llm") -> Path:
    found, _ = store.find([some])
    return site / "results" / f"{next(one for one in found if one.result.rewriter.name == name).result.id}.html"


def heads(page: Any, group: int = 0) -> list[str]:
    rows = page.locator("[data-filtered]").first.locator("tbody").nth(group).locator("tr.line:visible th a")
    return [text.strip() for text in rows.all_inner_texts()]


def shown(page: Any) -> list[str]:
    return [text.removeprefix("Query ") for text in page.locator(".query h3").all_inner_texts()]


def test_tables_are_sorted_by_click_and_by_key(site: Path, open_page: Open) -> None:
    page = open_page(site / "index.html")
    table = page.locator("[data-filtered]").first
    first = heads(page)
    column = table.locator("thead th", has_text="R@10").first
    values = "th => [...th.closest('table').tBodies[0].rows].map(row => Number(row.cells[th.cellIndex].dataset.sort))"
    column.locator("button").click()
    assert column.get_attribute("aria-sort") == "descending"
    best = column.evaluate(values)
    assert best == sorted(best, reverse=True) and len(best) == len(first) == 3
    column.locator("button").press("Enter")
    assert column.get_attribute("aria-sort") == "ascending"
    assert column.evaluate(values) == sorted(best)
    assert heads(page, 1) == ["oracle"], "oracles stay apart"

    table.locator("thead th button").first.press("Space")
    assert table.locator("[aria-sort]").count() == 1
    assert heads(page)[1:] == ["identity", "llm"], "names from the first"
    assert "sort" not in page.locator("#published table").inner_text()


def test_rows_are_filtered(site: Path, open_page: Open) -> None:
    page = open_page(site / "index.html")
    count = page.locator("[data-tools] [data-count]")
    assert count.inner_text() == "4 rows" and count.get_attribute("aria-live") == "polite"
    page.get_by_label("Filter", exact=True).fill("LLM")
    assert heads(page) == ["llm"]
    assert count.inner_text() == "1 of 4 rows"
    page.get_by_label("Filter", exact=True).fill("")
    page.get_by_label("Oracles").press("Space")
    assert count.inner_text() == "3 of 4 rows" and page.get_by_text("Oracles: they look").is_hidden()
    assert page.get_by_label("Mechanism").locator("option").all_inner_texts() == ["all", "lm"]
    page.get_by_label("Mechanism").select_option("lm")
    assert count.inner_text() == "3 of 4 rows"
    page.get_by_label("Filter", exact=True).fill("nothing like it")
    assert count.inner_text() == "0 of 4 rows" and heads(page) == []


def test_queries_are_searched_and_put_in_order(site: Path, some: Path, open_page: Open) -> None:
    page = open_page(result_page(site, some))
    count = page.locator("[data-queries] [data-count]")
    assert count.inner_text() == "40 queries, 1 to 10 shown" and count.get_attribute("aria-live") == "polite"
    assert shown(page) == [f"q{number}" for number in range(10)]
    for _ in range(3):
        page.get_by_role("button", name="Next").first.click()
    assert shown(page)[0] == "q30" and "Page 4 of 4" in page.locator(".pager").first.inner_text()
    assert page.get_by_role("button", name="Next").first.is_disabled()

    search = page.get_by_role("searchbox", name="Search")
    search.fill("THING 17")
    assert shown(page) == ["q17"] and count.inner_text() == "1 of 40 queries, 1 to 1 shown"
    search.fill("whiskers")
    assert shown(page) == ["q3"] and "Concepts" in page.locator(".query").inner_text()
    page.get_by_role("button", name="Reset").click()
    page.wait_for_function("document.querySelectorAll('.query').length === 10")

    change = (
        "() => [...document.querySelectorAll('.ranks')].map(one => one.textContent.match(/rank ([\\d,]+) → ([\\d,]+)/))"
    )
    for order, sign in (("largest gains", 1), ("largest losses", -1)):
        page.get_by_label("Order").select_option(label=order)
        ratios = [int(before) / int(after) for _, before, after in page.evaluate(change)]
        assert ratios == sorted(ratios, reverse=sign > 0)
    page.get_by_label("Show").select_option("fallback")
    assert shown(page) == ["q5"] and "empty" in page.locator(".query").inner_text()
    page.get_by_label("Show").select_option("lost")
    assert page.locator(".ranks:not(.down)").count() == 0 < page.locator(".ranks.down").count()
    page.get_by_label("Show").select_option("")
    page.get_by_label("from").fill("3")
    page.get_by_label("to", exact=True).fill("4")
    after = {int(found[2]) for found in page.evaluate(change)}
    assert after and after <= {3, 4}


def test_a_query_has_an_address(site: Path, some: Path, open_page: Open) -> None:
    path = result_page(site, some)
    page = open_page(path, "#query=q33")
    assert shown(page) == ["q33"]
    page.get_by_role("searchbox", name="Search").fill("thing 3")
    assert (
        "text=thing+3" in page.url
        and len(shown(page)) == 10
        and "11 of 40" in page.locator("[data-count]").inner_text()
    )
    again = open_page(path, "#" + page.url.partition("#")[2])
    assert shown(again) == shown(page)
    again.locator(".query h3 a").nth(2).click()
    again.wait_for_function("document.querySelectorAll('.query').length === 1")
    assert shown(again) == [shown(page)[2]]


def test_languages_are_chosen(tmp_path: Path, add: Add, open_page: Open) -> None:
    add(tmp_path / "store", languages=("de", "zh"), protocol="multilingual")
    site = build([tmp_path / "store"], tmp_path / "site", tmp_path).folder
    page = open_page(next((site / "results").iterdir()))
    page.get_by_label("Language").select_option(label="zh")
    assert shown(page) == [f"q{number}" for number in range(1, 20, 2)]
    assert page.locator(".query dd[lang=zh]").count() == 10
    assert page.get_by_label("Category").is_hidden()


def test_the_right_image_is_marked_among_the_best(site: Path, some: Path, open_page: Open) -> None:
    page = open_page(result_page(site, some))
    page.get_by_label("to", exact=True).fill("10")
    for card in page.locator(".query").all()[:5]:
        rank = int(card.locator(".ranks").inner_text().partition("→ ")[2].split()[0])
        strip = card.get_by_label("The best after").locator("li")
        marked = [place for place, item in enumerate(strip.all(), 1) if "target" in (item.get_attribute("class") or "")]
        assert marked == [rank]
        assert "(the right image)" in strip.nth(rank - 1).text_content()


def test_what_is_not_published_is_said(tmp_path: Path, add: Add, open_page: Open) -> None:
    folder = store.publish(add(tmp_path / "own"), tmp_path / "board")
    (folder / "rewrites.jsonl.gz").unlink()
    site = build([tmp_path / "board"], tmp_path / "site", tmp_path / "nothing").folder
    page = open_page(next((site / "results").iterdir()))
    card = page.locator(".query").first.inner_text()
    assert "its text is not published" in card and "not published with this result" in card
    assert "img-0" in card and "null" not in card and "undefined" not in card
    assert page.locator(".strip").count() == 0


def test_a_long_text_is_opened(tmp_path: Path, add: Add, open_page: Open) -> None:
    add(tmp_path / "store", rewrite=lambda number: "word " * 100 + "end")
    site = build([tmp_path / "store"], tmp_path / "site", tmp_path).folder
    page = open_page(next((site / "results").iterdir()))
    told = page.locator(".query dd.rewrite").first
    assert "end" not in told.inner_text()
    told.locator("summary").press("Enter")
    assert told.inner_text().endswith("end") and told.inner_text().count("word") == 100


def test_everything_is_reached_by_keyboard(site: Path, some: Path, open_page: Open) -> None:
    page = open_page(result_page(site, some))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    wanted, reached = {"text", "order", "only", "from", "to"}, []
    for _ in range(60):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            "(() => { const one = document.activeElement; return [one.name || one.textContent.trim().slice(0, 20), "
            "getComputedStyle(one).outlineStyle]; })()"
        )
        assert outline != "none", f"the focus on {name!r} is not seen"
        reached.append(name)
        if name == "Next":
            break
    assert wanted <= set(reached) and "Reset" in reached
    page.keyboard.press("Enter")
    assert shown(page)[0] == "q10"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_legible_and_named(site: Path, some: Path, open_page: Open, scheme: str) -> None:
    for path in (site / "index.html", next((site / "tasks").iterdir()), result_page(site, some)):
        page = open_page(path, color_scheme=scheme)
        page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every((v) => v < 60)")
        assert dark == (scheme == "dark")
        assert page.evaluate(CONTRAST) == []
        assert page.evaluate(UNNAMED) == []


def test_a_phone_scrolls_tables_and_not_the_page(site: Path, some: Path, open_page: Open) -> None:
    for path in (site / "index.html", next((site / "tasks").iterdir()), result_page(site, some),
                 result_page(site, some, EVIL)):  # fmt: skip
        page = open_page(path, width=375)
        page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        assert page.evaluate("document.documentElement.scrollWidth") <= 375, path.name
    page = open_page(site / "index.html", width=375)
    box = page.locator(".scroll").first
    assert box.evaluate("one => one.scrollWidth > one.clientWidth && one.tabIndex === 0")


def test_what_strangers_write_does_nothing(site: Path, some: Path, open_page: Open) -> None:
    for path in (site / "index.html", next((site / "tasks").iterdir()), result_page(site, some, EVIL)):
        page = open_page(path)
        page.wait_for_timeout(100)
        assert "owned" not in page.title() or EVIL in page.title()
        assert page.locator("img[src='x']").count() == 0
    assert f"{EVIL} 4" in page.locator(".query dd.rewrite").nth(4).inner_text()
    page.get_by_role("searchbox", name="Search").fill(EVIL[:30])
    assert len(shown(page)) == 10
    assert page.locator("a[href^='javascript']").count() == 0


def test_a_curve_is_highlighted_and_the_command_copied(site: Path, some: Path, open_page: Open) -> None:
    page = open_page(next((site / "tasks").iterdir()))
    page.get_by_role("combobox", name="Highlight").select_option(label="identity")
    assert page.locator("path.chosen").count() == 1
    assert page.locator("path.chosen title").text_content() == "identity"
    page = open_page(result_page(site, some))
    page.get_by_role("button", name="Copy").click()
    told = page.locator(".command output")
    page.wait_for_function("document.querySelector('.command output').textContent !== ''")
    assert told.inner_text() in ("copied", "selected: copy it with your keyboard")


def test_print_shows_no_controls(site: Path, some: Path, open_page: Open) -> None:
    page = open_page(result_page(site, some))
    page.emulate_media(media="print")
    assert page.locator("form.tools").is_hidden() and page.locator(".query").first.is_visible()


def test_without_scripts_the_tables_are_there(site: Path, open_page: Open) -> None:
    page = open_page(site / "index.html", java_script_enabled=False)
    assert page.locator("tr.line").count() >= 4 and page.locator("[data-tools]").is_hidden()


def test_a_page_of_five_thousand_queries_makes_no_more_than_one_of_fifty(
    tmp_path: Path, add: Add, open_page: Open
) -> None:
    """What a browser's time goes into is counted: elements on the page, and elements made by a keystroke."""
    sentence = "a picture of a small red house on the left of a large tree with a bird and a boat at night, number "
    keystroke = """(text) => {
      const box = document.querySelector("[data-queries] [name=text]");
      const create = document.createElement;
      let made = 0;
      document.createElement = (...given) => { made++; return create.apply(document, given); };
      box.value = text;
      box.dispatchEvent(new Event("input", { bubbles: true }));
      delete document.createElement;
      return made;
    }"""
    counts = []
    for count, sought in ((50, "number  43"), (5000, "number  4321")):
        folder = tmp_path / str(count)
        add(folder / "store", count=count, rewrite=lambda number: f"{sentence} {number}")
        site = build([folder / "store"], folder / "site", folder).folder
        page = open_page(next((site / "results").iterdir()))
        page.wait_for_selector(".query")
        assert len(shown(page)) == 10
        there = page.evaluate("document.querySelectorAll('*').length")
        made = [page.evaluate(keystroke, sought[:end]) for end in range(1, len(sought) + 1)]
        assert shown(page) == [f"q{sought.split()[1]}"]
        counts.append((there, made[0]))
        assert 0 < made[-1] < made[0] == max(made), "ten cards at most, one for the last"
    (few, made_few), (many, made_many) = counts
    assert many < 1.5 * few, "the figures have more bars, and nothing else is more"
    assert made_many == made_few


@pytest.mark.slow
def test_the_miniature_has_pictures_texts_and_what_was_found(tmp_path: Path, open_page: Open) -> None:
    arguments = ["run", "--task", "cirr", "--rewriter", "identity", "--rewriter", "llm", "--limit", "25"]
    assert main([*arguments, "--out", str(tmp_path / "own")]) == 0
    for one in store.find([tmp_path / "own"])[0]:
        store.publish(one.folder, tmp_path / "board")
    built = build([tmp_path / "board"], tmp_path / "site", results_dir())
    assert built.problems == () and built.private == ()
    found, _ = store.find([tmp_path / "board"])
    llm = next(one for one in found if one.result.rewriter.name == "llm")
    page = open_page(tmp_path / "site" / "results" / f"{llm.result.id}.html", "#to=10&order=best")
    card = page.locator(".query").first
    assert card.get_by_role("img", name="Reference: ").is_visible()
    target = card.get_by_role("img", name="Right image: ")
    assert target.evaluate("one => one.decode().then(() => one.naturalWidth)") == 64
    rank = int(card.locator(".ranks").inner_text().partition("→ ")[2].split()[0])
    best = card.get_by_label("The best after").locator("img")
    assert best.nth(rank - 1).get_attribute("src") == target.get_attribute("src")
    assert best.nth(rank - 1).get_attribute("alt").startswith(f"{rank}: the right image, ")
    assert card.get_by_label("The best before").locator("img").count() == 10
    assert "not published" not in card.inner_text()
