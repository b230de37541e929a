#!/usr/bin/env python3
"""Looks at pages of `runnel report` with a Chromium without a window, wide and narrow, light and dark: what they say, that
the charts are drawn, that nothing runs over anything else. Prints verdicts in GoogleTest's form.

    tests/pages/run.py build/apps/runnel/runnel [PATTERN] [--keep FOLDER]
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import traceback

from browser import Browser, program

SECONDS = 60  # the limit of one run
WINDOWS = {"wide": (1280, 800), "narrow": (390, 844)}
# A run of each kind that has charts of its own.
RUNS = {
    "crr": ["--recipe", "crr", "--rate", "2k", "--arrivals", "poisson"],
    "rr": ["--recipe", "rr", "--connections", "20"],
    "stream": ["--recipe", "stream", "--connections", "4"],
    "udp": ["--recipe", "udp-rr", "--rate", "2k"],
}
CASES = {}

# Each chart: the box of its plot, the colours of its lines in the order they are drawn, and its marks.
CHARTS = """[...document.querySelectorAll('figure.chart')].map(figure => {
  const box = element => { const b = element.getBoundingClientRect();
    return {x: b.x + scrollX, y: b.y + scrollY, width: b.width, height: b.height}; };
  const svg = figure.querySelector('svg');
  return {title: figure.querySelector('figcaption').innerText, figure: box(figure), plot: box(svg),
    lines: [...svg.querySelectorAll('.line, .dot')].map(e => getComputedStyle(e).color.match(/[0-9]+/g).slice(0, 3).map(Number)),
    marks: [...svg.querySelectorAll('.tick')].filter(e => getComputedStyle(e).display != 'none')
      .map(e => ({text: e.textContent, ...box(e)}))};
})"""
TABLE = """[...[...document.querySelectorAll('h2')].find(h => h.innerText == 'Percentiles').nextElementSibling
  .querySelectorAll('tr')].map(row => [...row.children].map(cell => cell.innerText))"""
SETTINGS = """[...document.querySelectorAll('.settings div')]
  .map(row => [row.children[0].innerText, row.children[1].innerText])"""


def case(function):
    words = function.__name__.split("_")
    CASES["Pages." + "".join(word[:1].upper() + word[1:] for word in words)] = function
    return function


def check(holds, said):
    if not holds:
        raise AssertionError(said)


class Pages:
    """The result documents and their pages, each made once, and the browser."""

    def __init__(self, runnel, folder):
        self.runnel, self.folder, self.documents = runnel, folder, {}
        self.browser = Browser()

    def made(self, name):
        """The document of a run, and its page."""
        document, page = self.folder / f"{name}.json", self.folder / f"{name}.html"
        if name not in self.documents:
            for words in (
                ["handshake", *RUNS[name], "--duration", "2500ms", "--ramp", "100ms", "--json", document, "--live", "no"],
                ["report", document, "--out", page],
            ):
                done = subprocess.run([self.runnel, *words], capture_output=True, text=True, timeout=SECONDS, check=False)
                # Whether this machine was quick enough for the rate has no part in how the page looks.
                check(done.returncode in (0, 3), f"status {done.returncode}:\n{done.stdout}{done.stderr}")
            self.documents[name] = json.loads(document.read_text(encoding="utf-8"))
        return self.documents[name], page

    def show(self, name, window, dark=False):
        document, page = self.made(name)
        self.browser.open(page, *WINDOWS[window], dark)
        return document


def microseconds(text):
    """"11.5 ms" as it stands on the page."""
    number, unit = text.split()
    return float(number) * {"ns": 1e-3, "us": 1, "ms": 1e3, "s": 1e6}[unit]


def close_to(shown, value):
    """Three digits of a value are shown."""
    return abs(shown - value) <= 0.006 * abs(value) + 1e-9


@case
def rates_percentiles_and_settings_of_the_document_stand_on_the_page(pages):
    document = pages.show("crr", "wide")
    text = pages.browser.value("document.body.innerText")
    rate = re.match(r"handshake crr: ([\d.]+)( k)? connections a second", pages.browser.value("document.querySelector('h1').innerText"))
    check(rate, text[:200])
    check(close_to(float(rate[1]) * (1000 if rate[2] else 1), document["rate"]["cps"]), (rate[0], document["rate"]))
    check(document["verdict"] in text and document["reason"] in text, text[:600])
    head, *rows = pages.browser.value(TABLE)
    names = {"Handshake": "handshake", "First byte": "ttfb", "Last byte": "ttlb", "Whole connection": "close"}
    columns = {"min": "min", "mean": "mean", "p50": "p50", "p90": "p90", "p99": "p99", "p99.9": "p999", "p99.99": "p9999", "max": "max"}
    check(len(rows) == 2 * len(names), rows)
    for row in rows:
        figures = document["latency_us"][names[row[0]]][{"intended": "intended", "sending": "actual"}[row[1]]]
        for name, shown in list(zip(head, row))[2:-1]:
            check(close_to(microseconds(shown), figures[columns[name]]), (row, figures))
        check(int(re.sub(r"\D", "", row[-1])) == figures["count"] > 0, (row, figures))
    shown = dict(pages.browser.value(SETTINGS))
    settings = {name.replace("_", " ") for name in [*document["config"], "seed"]}
    check(set(shown) == settings, set(shown) ^ settings)
    check(shown["recipe"] == "crr" and float(shown["rate"]) == 2000 and shown["arrivals"] == "poisson", shown)


def each_view(pages):
    for name in RUNS:
        for window in WINDOWS:
            for dark in (False, True) if name == "crr" else (False,):
                pages.show(name, window, dark)
                yield f"{name}, {window}, {'dark' if dark else 'light'}"


@case
def charts_are_drawn_wide_and_narrow_light_and_dark(pages):
    grounds = set()
    for view in each_view(pages):
        charts = pages.browser.value(CHARTS)
        check(len(charts) >= 3, f"{view}: {[chart['title'] for chart in charts]}")
        for chart in charts:
            said = f"{view}: {chart}"
            check(chart["lines"] and len(chart["marks"]) >= 4, said)
            check(chart["plot"]["width"] > 200 and chart["plot"]["height"] > 90, said)
            counts = pages.browser.pixels(chart["plot"], chart["lines"])
            # The line that is drawn last lies upon the others: all along, or as one dot where there is one second.
            check(counts[-1] > 10, f"{counts} pixels of its lines; {said}")
            check(sum(counts) > chart["plot"]["width"] / 10, f"{counts} pixels of its lines; {said}")
        if view.startswith("crr"):
            grounds.add((view.split()[-1], pages.browser.value("getComputedStyle(document.body).backgroundColor")))
    check(len(grounds) == 2, f"light and dark have the same ground, or each several: {grounds}")


def overlap(one, other):
    return (
        one["x"] < other["x"] + other["width"] - 1
        and other["x"] < one["x"] + one["width"] - 1
        and one["y"] < other["y"] + other["height"] - 3  # the boxes of text are higher than its figures
        and other["y"] < one["y"] + one["height"] - 3
    )


@case
def nothing_runs_over_anything_else_or_out_of_the_window(pages):
    for view in each_view(pages):
        width = pages.browser.value("innerWidth")
        check(pages.browser.value("document.documentElement.scrollWidth") <= width, f"{view}: it is wider than the window")
        for chart in pages.browser.value(CHARTS):
            figure, marks = chart["figure"], chart["marks"]
            for i, mark in enumerate(marks):
                said = f"{view}, {chart['title']}: {mark}"
                check(10 < mark["height"] < 20, f"not to be read beside the other text: {said}")
                check(mark["x"] >= figure["x"] and mark["x"] + mark["width"] <= figure["x"] + figure["width"], f"out of its frame: {said}")
                for other in marks[:i]:
                    check(not overlap(mark, other), f"{said} lies upon {other}")


@case
def pointer_on_a_chart_is_told_the_figures_there(pages):
    pages.show("crr", "wide")
    plot = next(c for c in pages.browser.value(CHARTS) if c["title"].startswith("Handshake"))["plot"]
    pages.browser.value("(x, y) => scrollTo(x, y)", 0, plot["y"] - 100)
    top = plot["y"] - pages.browser.value("scrollY")
    pages.browser.point_at(plot["x"] + plot["width"] * 0.6, top + plot["height"] / 2)
    tips = pages.browser.value("[...document.querySelectorAll('.tip')].filter(e => !e.hidden).map(e => e.innerText)")
    check(len(tips) == 1 and re.search(r"p99.9\s+[\d.]+ [num]?s", tips[0]), tips)
    pages.browser.point_at(1, 1)
    check(pages.browser.value("[...document.querySelectorAll('.tip')].every(e => e.hidden)"), "it stays")


@case
def browser_has_nothing_to_complain_of_and_loads_nothing(pages):
    for view in each_view(pages):
        pages.browser.value("1")  # what has happened until now is heard
        check(not pages.browser.complaints, f"{view}: {pages.browser.complaints}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runnel", type=pathlib.Path, help="the command")
    parser.add_argument("pattern", nargs="?", default="", help="only cases whose name contains it")
    parser.add_argument("--keep", type=pathlib.Path, help="leave pictures of all pages in this folder")
    options, _ = parser.parse_known_args()  # meson adds what GoogleTest would take
    chosen = {name: function for name, function in CASES.items() if options.pattern in name}
    if not program():
        for name in chosen:
            print(f"[ RUN      ] {name}\nneeds Chromium, which is not installed (scripts/setup test)\n[  SKIPPED ] {name}")
        return 0
    failed = 0
    with tempfile.TemporaryDirectory(prefix="runnel_pages_") as folder:
        pages = Pages(options.runnel.resolve(), pathlib.Path(folder))
        try:
            for name, function in chosen.items():
                print(f"[ RUN      ] {name}", flush=True)
                verdict = "      OK"
                try:
                    function(pages)
                except Exception:
                    traceback.print_exc(file=sys.stdout)
                    verdict = "  FAILED"
                    failed += 1
                print(f"[ {verdict} ] {name}", flush=True)
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                for view in each_view(pages):
                    pages.browser.save(options.keep / (view.replace(", ", "-") + ".png"))
        finally:
            pages.browser.close()
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
