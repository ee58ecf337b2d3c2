"""The page of plens report in a real browser: what it shows, and how its tables sort.

usage: report.py REPORT.html [SCREENSHOTS]
The last line is "N passed, N failed". With a second argument pictures of the page are left there.
"""

import base64
import csv
import os
import sys

from page_tests import PageTests

TABLE = "#table1 table"
ROWS = f"return [...document.querySelector('{TABLE}').tBodies[0].rows].map(r => " \
       "[...r.cells].map(c => c.textContent.trim()))"
SORTED = f"return [...document.querySelector('{TABLE}').tHead.rows[0].cells].map(" \
         "c => c.getAttribute('aria-sort'))"


class Tests(PageTests):
    def __init__(self, page, screenshots):
        super().__init__(screenshots)
        self.page = page

    def statistics(self):
        """What the page's first table should hold: statistics.tsv at R = 1 over S > 0."""
        return [r for r in self.tsv("statistics.tsv")
                if r["ratio"] == "1" and r["population"] == "positive"]

    def contents(self):
        b = self.browser
        shown, expected = b.run(ROWS), self.statistics()
        self.check("a row for each row of the TSV", len(shown) == len(expected),
                   (len(shown), len(expected)))
        self.check("models, tasks and counts are the TSV's", all(
            (s[0], s[1], s[3]) == (e["label"], e["task"], e["n"])
            for s, e in zip(shown, expected)))
        self.check("means are the TSV's", all(
            s[5].split()[-1] == ("\u2013" if e["mean"] == "NA" else f"{float(e['mean']):.3f}")
            for s, e in zip(shown, expected)))
        self.check("nothing is loaded", b.run(
            "return performance.getEntriesByType('resource').length") == 0)
        self.check("charts have names for those who do not see them", b.run(
            "return [...document.querySelectorAll('figure svg')].every("
            "n => n.getAttribute('role') === 'img' && n.querySelector('title').textContent)"))
        self.check("lines stay inside of their charts", b.run("""
            return [...document.querySelectorAll('figure svg')].every(svg => {
              const box = svg.viewBox.baseVal;
              return [...svg.querySelectorAll('.line, .band')].every(line => {
                const b = line.getBBox();
                return b.x >= 0 && b.y >= 0 && b.x + b.width <= box.width &&
                  b.y + b.height <= box.height;
              });
            })"""))
        self.check("words stay inside too", b.run("""
            document.querySelectorAll('details').forEach(d => d.open = true);
            return [...document.querySelectorAll('figure svg')].every(svg => {
              const outer = svg.getBoundingClientRect();
              return [...svg.querySelectorAll('text')].every(text => {
                const b = text.getBoundingClientRect();
                return b.left >= outer.left - 1 && b.right <= outer.right + 1;
              });
            })"""))

    def marks(self):
        """Better and worse by the persona: against the row without, judged by its own answer."""
        stats = {(r["label"], r["task"], r["condition"], r["gold"]): r for r in self.statistics()}
        wrong, n = [], 0
        for cells in self.browser.run(ROWS):
            row = stats.get((cells[0], cells[1], "with", "data"))
            without = stats.get((cells[0], cells[1], "without", "own"))
            for at, name in ((4, "min"), (5, "mean"), (7, "median"), (9, "max")):
                mark = cells[at][0] if cells[at][0] in "\u25b2\u25bc" else ""
                expected = ""
                if cells[2] == "with persona" and "NA" not in (row[name], without[name]):
                    a, b = float(row[name]), float(without[name])
                    expected = "\u25b2" if a > b else "\u25bc" if a < b else ""
                n += expected != ""
                if mark != expected:
                    wrong.append((cells[:3], name, mark, expected))
        self.check("marks of better and worse", n > 0 and not wrong, (n, wrong))

    def tsv(self, name):
        path = os.path.join(os.path.dirname(self.page), name)
        with open(path, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))

    def charts(self):
        """The points of Figure 2 and the lines of the layers are the TSV's."""
        names = {"with persona": ("with", "data"), "without, own answer": ("without", "own"),
                 "without, data's gold": ("without", "data"),
                 "with persona, own answer": ("with", "own")}
        rows = self.tsv("statistics.tsv")
        shown = self.browser.run("""
            return [...document.querySelectorAll('#figure2 figure')].map(f =>
              [f.closest('details') ? 'positive' : 'all', f.querySelector('figcaption').textContent,
               [...f.querySelectorAll('.mark title')].map(t => t.textContent)])""")
        found = {}  # all series together
        for population, title, points in shown:
            found.setdefault((population, title), []).extend(points)
        wrong, n = [], 0
        for (population, title), points in found.items():
            task, _, reading = title.partition(", ")
            expected = []
            for r in rows:
                if (r["task"], r["condition"], r["gold"], r["population"]) == (
                        task, *names[reading], population) and r["mean"] != "NA":
                    text = f"{r['label']}: {float(r['mean']):.4g} at {100 * float(r['ratio']):.4g}" \
                           " %"
                    if r["mean_low"] != "NA":
                        text += f" (95 %: {float(r['mean_low']):.4g} to {float(r['mean_high']):.4g})"
                    expected.append(text)
            n += len(expected)
            if sorted(points) != sorted(expected):
                wrong.append((title, sorted(set(points) ^ set(expected))[:2]))
        self.check("Figure 2 is the TSV's", n > 0 and not wrong, wrong[:1])
        runs = len(self.tsv("models.tsv"))
        tasks = list(dict.fromkeys(r["task"] for r in rows))
        lines = self.browser.run("""
            return [...document.querySelectorAll('#layers figure')].filter(
              f => f.textContent.includes('gold is the top token')).map(f => {
                const ys = [...f.querySelectorAll('.grid')].map(g => g.getBBox().y);
                return [...f.querySelectorAll('.line')].map(line =>
                  (line.getAttribute('d').match(/[ML][0-9.]+ [0-9.]+/g) || []).map(p =>
                    (ys[0] - Number(p.split(' ')[1])) / (ys[0] - ys[ys.length - 1])));
              })""")
        depth = self.tsv("depth.tsv")
        expected = [[[float(r["top_share"]) for r in depth if r["top_share"] != "NA" and (
            r["label"], r["task"], r["condition"], r["gold"]) == (label, task, *reading)]
            for reading in names.values()]
            for label in [r["label"] for r in self.tsv("models.tsv")] for task in tasks]
        self.check("a chart of the layers for each model and task",
                   len(lines) == runs * len(tasks), len(lines))
        self.check("lines over the layers are the TSV's", all(
            len(x) == len(y) and all(abs(a - b) < 0.002 for a, b in zip(x, y))
            for chart, values in zip(lines, expected) for x, y in zip(chart, values)))

    def sorting(self):
        b = self.browser
        heads = b.run(f"return [...document.querySelector('{TABLE}').tHead.rows[0].cells].map("
                      "c => c.textContent)")
        mean = heads.index("mean")
        before = b.run(ROWS)
        press = f"document.querySelector('{TABLE}').tHead.rows[0].cells[arguments[0]]" \
                ".querySelector('button').click()"

        def numbers():
            cells = [row[mean].split()[-1] for row in b.run(ROWS)]
            return [None if c == "\u2013" else float(c) for c in cells]

        b.run(press, mean)
        found = numbers()
        there = [x for x in found if x is not None]
        self.check("the largest comes first", there == sorted(there, reverse=True), found)
        self.check("rows without a number come last",
                   found[len(there):] == [None] * (len(found) - len(there)), found)
        self.check("the head says so", b.run(SORTED)[mean] == "descending", b.run(SORTED))
        b.run(press, mean)
        found = numbers()
        there = [x for x in found if x is not None]
        self.check("the other way round", there == sorted(there) and b.run(SORTED)[mean] ==
                   "ascending", found)
        self.check("rows without a number come last",
                   found[len(there):] == [None] * (len(found) - len(there)), found)
        b.run(press, 1)
        tasks = [row[1] for row in b.run(ROWS)]
        self.check("by name", tasks == sorted(tasks), tasks)
        self.check("one head says so", [s for s in b.run(SORTED) if s] == ["ascending"])
        self.check("no row is lost", sorted(b.run(ROWS)) == sorted(before))

    def looks(self):
        b = self.browser
        for scheme in ("dark", "light"):
            b.emulate(scheme=scheme)
            worst = self.readable("h1, h1 span, h2, h3, p, dt, dd, th, td, td span, summary,"
                                         " .verdict, a, li, select, label, figcaption, caption")
            self.check(f"{scheme}: everything can be read", worst >= 4.5, worst)
            lines = b.run("""return [...document.querySelectorAll('figure .line, figure text')].map(
                n => getComputedStyle(n)[n.tagName === 'text' ? 'fill' : 'stroke'])""")
            self.check(f"{scheme}: no line is black by default", lines and "none" not in lines and
                       "rgb(0, 0, 0)" not in lines, set(lines))
            self.keep("report-" + scheme)
        b.run("const s = document.getElementById('theme'); s.value = 'dark';"
              "s.dispatchEvent(new Event('change'))")
        dark = b.run("return getComputedStyle(document.body).backgroundColor")
        self.check("dark on demand", dark == "rgb(21, 23, 27)", dark)
        b.run("const s = document.getElementById('theme'); s.value = '';"
              "s.dispatchEvent(new Event('change'))")
        b.emulate(media="print")
        self.check("it prints", base64.b64decode(b.print()).startswith(b"%PDF"))
        b.emulate()

    def run(self):
        self.browser.open(self.page)
        self.contents()
        self.marks()
        self.charts()
        self.sorting()
        self.looks()
        said = self.browser.console()
        self.check("the console is empty", said == [], said)


if __name__ == "__main__":
    sys.exit(Tests(os.path.abspath(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None).main())
