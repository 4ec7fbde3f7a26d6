"""Pages on a narrow screen, as a browser lays them out, and what the style sheets say of paper."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest

from bailong.evaluate.pages import score_page
from bailong.prepare.pages import corpus
from bailong.report.elements import asset
from tests.evaluate.pages.evaluations import evaluation
from tests.prepare.pages.ledgers import ledger

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
#: CSS pixels of a telephone; a browser without a screen is no narrower than 500, so the page stands in a frame
WIDTH = 390
LONG = "name_without_any_break_0123456789_" * 4 + "<b>&'\""
#: the page's width, what sticks out of it and scrolls in no frame, and words of up to 16 letters that are cut
MEASURE = """<script>addEventListener('load', () => {
  const width = document.documentElement.clientWidth, wide = [], cut = [];
  for (const fold of document.querySelectorAll('details')) fold.open = true;
  const scrolls = (e) => e && e.tagName !== 'BODY' &&
    (/auto|scroll|hidden/.test(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  for (const e of document.querySelectorAll('main *'))
    if (e.getBoundingClientRect().right > width + 1 && !scrolls(e.parentElement)) wide.push(e.tagName + e.className);
  const texts = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  for (let node; (node = texts.nextNode()); ) {
    if (node.parentElement.closest('svg, pre, code, .text')) continue;
    for (const word of node.data.matchAll(/(?<![\\w.\\/])[A-Za-z]{2,16}(?![\\w.\\/])/g)) {
      const range = document.createRange();
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size > 1) cut.push(word[0]);
    }
  }
  parent.postMessage(JSON.stringify([document.documentElement.scrollWidth, wide, cut]), '*');
})</script></body>"""


def scores(folder: Path) -> str:
    made = evaluation(folder, models=("mine", LONG.replace("/", "")), nasty=True, resamples=20)
    return score_page.page(made, folder)


def sources(_: Path) -> str:
    made = ledger(documents=60)
    made["name"] = made["sources"][0]["path"] = LONG
    made["command"] = f"bailong-prepare data={LONG}"
    return corpus.page(made)


@pytest.mark.skipif(BROWSER is None, reason="no browser here")
@pytest.mark.parametrize("page", [scores, sources])
def test_nothing_breaks_on_a_narrow_screen(page: Callable[[Path], str], tmp_path: Path) -> None:
    text = page(tmp_path).replace("</body>", MEASURE)
    (tmp_path / "page.html").write_text(text, encoding="utf-8", errors="replace")
    told = "onmessage = (e) => document.body.append(Object.assign(document.createElement('output'), {value: e.data}))"
    frame = f"<body><script>{told}</script><iframe src=page.html width={WIDTH} height=900></iframe>"
    (tmp_path / "frame.html").write_text(frame, encoding="utf-8")
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000", "--dump-dom"]
    seen = subprocess.run([*command, f"file://{tmp_path}/frame.html"], capture_output=True, text=True, timeout=120)
    found = re.search(r"<output>(.*?)</output>", seen.stdout, re.S)
    assert found, seen.stderr[-2000:]
    width, wide, cut = json.loads(unescape(found[1]))
    assert (width, wide) == (WIDTH, [])
    assert cut == []


def test_paper_shows_what_is_folded_and_where_links_lead() -> None:
    printed = {name: asset(name).partition("@media print")[2] for name in ("page.css", "corpus.css", "scores.css")}
    assert "details::details-content { content-visibility: visible" in printed["page.css"]
    assert 'content: " (" attr(href) ")"' in printed["page.css"]
    assert ".view, .view > h4 { display: block; }" in printed["corpus.css"], "every view, each under its name"
    assert ":not([open])" not in printed["scores.css"], "questions that nobody opened are there too"
    assert "max-height: none" in printed["corpus.css"]
