"""The page of `plens lens --html` in a real browser: what it shows and how it answers.

usage: pictures.py PLENS SCRATCH [SCREENSHOTS]
The last line is "N passed, N failed". With a third argument pictures of the page are left there.
"""

import base64
import json
import os
import random
import shutil
import struct
import subprocess
import sys

from page_tests import PageTests

TINY = "tests/fixtures/persona-world"
PERSONAS = ["You live in Rome.", "You live in Tokyo."]
TEXT = "What do you love to eat?-, answer:"

CARD = """
  const card = arguments[0];
  if (!card || card.hidden) return null;
  return {where: card.querySelector('p').textContent,
          rows: [...card.querySelectorAll('li')].map(li =>
            [...li.querySelectorAll('bdi, span:not(.t):not(.fill)')].map(n => n.textContent))};
"""


def deep_model(folder, n_layers):
    """A model of random weights with the tokenizer of TINY, small but for its layers."""
    wide, vocab = 16, len(json.load(open(os.path.join(TINY, "tokenizer.json"), encoding="utf-8"))
                          ["model"]["vocab"])
    os.makedirs(folder)
    shutil.copy(os.path.join(TINY, "tokenizer.json"), folder)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": vocab,
                   "hidden_size": wide, "intermediate_size": wide, "num_hidden_layers": n_layers,
                   "num_attention_heads": 2, "num_key_value_heads": 2, "hidden_act": "silu",
                   "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
                   "tie_word_embeddings": True, "torch_dtype": "float32"}, file)
    shapes = {"model.embed_tokens.weight": [vocab, wide], "model.norm.weight": [wide]}
    for layer in range(n_layers):
        for part in ("self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "mlp.gate", "mlp.up",
                     "mlp.down"):
            shapes[f"model.layers.{layer}.{part}_proj.weight"] = [wide, wide]
        for norm in ("input_layernorm", "post_attention_layernorm"):
            shapes[f"model.layers.{layer}.{norm}.weight"] = [wide]
    header, data, chance = {}, b"", random.Random(7)
    for name, shape in shapes.items():
        count = shape[0] * shape[-1] if len(shape) > 1 else shape[0]
        values = struct.pack(f"<{count}f", *(chance.gauss(0, 0.5) for _ in range(count)))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + 4 * count]}
        data += values
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(folder, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


class Tests(PageTests):
    def __init__(self, plens, scratch, screenshots):
        super().__init__(screenshots)
        self.plens, self.scratch = plens, scratch

    def draw(self, name, model, *options):
        path = os.path.join(self.scratch, name)
        subprocess.run([self.plens, "lens", "--quiet", "--model", model, "--html", path, *options],
                       check=True)
        return path

    def tsv(self, *options):
        """(prompt, position, layer) -> [[token, prob, id]] as plens prints them."""
        text = subprocess.run([self.plens, "lens", "--quiet", "--model", TINY, *options],
                              check=True, capture_output=True, text=True).stdout
        table = {}
        for line in text.splitlines()[1:]:
            prompt, position, layer, _, number, token, prob = line.split("\t")
            table.setdefault((int(prompt), int(position), int(layer)), []).append(
                [token, float(prob), number])
        return table

    def card(self, selector="#card"):
        return self.browser.run(
            f"return (function () {{{CARD}}})(document.querySelector('{selector}'))")

    # ---- The page ----

    def shape(self, n_layers, table):
        b = self.browser
        self.check("a panel for each persona", b.run(
            "return [...document.querySelectorAll('h2')].map(n => n.textContent)") == PERSONAS)
        boxes = b.run("return [...document.querySelectorAll('section')].map(n => {"
                      "const r = n.getBoundingClientRect(); return [r.left, r.right, r.top]})")
        self.check("side by side", boxes[0][1] <= boxes[1][0] and boxes[0][2] == boxes[1][2], boxes)
        layers = b.run("return [...document.querySelector('tbody').rows].map("
                       "r => Number(r.cells[0].textContent))")
        self.check("the last layer is on top", layers == list(range(n_layers, 0, -1)), layers)
        shown = b.run("""return [...document.querySelectorAll('table')].map(t =>
            [...t.tBodies[0].rows].map(r => [...r.cells].slice(1).map(c =>
              c.querySelector('bdi').textContent)))""")
        expected = [[[table[p, t, l][0][0].replace(" ", "\u00b7")
                      for t in range(len(shown[p - 1][0]))]
                     for l in range(n_layers, 0, -1)] for p in (1, 2)]
        self.check("cells show the top tokens of the TSV", shown == expected)
        self.check("columns step", b.run("""return [...document.querySelectorAll('table')].every(t =>
            [...t.tFoot.rows[0].cells].slice(1).every((c, i, all) =>
              Number(c.dataset.position) === i && (i + 1 === all.length ||
                c.nextSibling.querySelector('bdi').textContent ===
                t.tHead.rows[0].cells[i + 1].querySelector('bdi').textContent)))"""))
        self.check("the last layer is the final answer", b.run(
            "return [...document.querySelectorAll('tbody tr:first-child td')].every("
            "c => c.classList.contains('f'))"))
        self.check("marks are where the top token is the final one", b.run("""
            return [...document.querySelectorAll('table')].every(t =>
              [...t.querySelectorAll('td')].every(c => c.classList.contains('f') ===
                (c.dataset.k.split(' ')[0] === t.tHead.rows[0].cells[c.cellIndex].dataset.final)))
            """))
        self.check("nothing is loaded", b.run(
            "return performance.getEntriesByType('resource').length") == 0)

    def colours(self):
        b = self.browser
        for palette in ("blue-yellow", "grey", "blue-red"):
            b.run("const s = document.getElementById('palette'); s.value = arguments[0];"
                  "s.dispatchEvent(new Event('change'))", palette)
            worst = self.readable("td, .scale span")
            self.check(f"{palette}: every cell can be read", worst >= 4.5, worst)
            self.keep(palette)
        for scheme in ("dark", "light"):
            b.emulate(scheme=scheme)
            worst = self.readable("h1, h1 span, h2, p, footer, th, th small, label, select, button")
            dark = b.run("return getComputedStyle(document.body).backgroundColor") != \
                "rgb(255, 255, 255)"
            self.check(f"{scheme}: the page can be read", worst >= 4.5, worst)
            self.check(f"the page is {scheme} as the system is", dark == (scheme == "dark"))
            self.keep(scheme)
        b.run("const s = document.getElementById('theme'); s.value = 'dark';"
              "s.dispatchEvent(new Event('change'))")
        self.check("or as one wants it", self.readable("h1, p, th") >= 4.5 and b.run(
            "return getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)")
        b.run("const s = document.getElementById('theme'); s.value = '';"
              "s.dispatchEvent(new Event('change'))")

    # ---- What it answers ----

    def same(self, card, expected):
        if card is None or len(card["rows"]) != len(expected):
            return False
        return all(row[0] == token.replace(" ", "\u00b7") and abs(float(row[1]) - prob) < 6e-5 and
                   row[2] == "id " + number
                   for row, (token, prob, number) in zip(card["rows"], expected))

    def cell(self, prompt, layer_from_top, position):
        return (f"section:nth-of-type({prompt}) tbody tr:nth-child({layer_from_top + 1}) "
                f"td:nth-of-type({position + 1})")

    def pointer(self, n_layers, table):
        b = self.browser
        self.check("no card at first", self.card() is None)
        b.hover(self.cell(2, 1, 3))
        self.check("hovering shows all tokens", self.same(self.card(), table[2, 3, n_layers - 1]),
                   self.card())
        self.check("and says where", f"layer {n_layers - 1}, position 3" in self.card()["where"])
        self.keep("hover")
        b.hover("h1")
        self.check("and leaving hides them", self.card() is None)
        b.click(self.cell(1, 0, 2))
        b.click(self.cell(2, 0, 2))
        b.hover("h1")
        self.check("clicks pin", self.same(self.card("#pins .card:nth-of-type(1)"),
                                           table[1, 2, n_layers]) and
                   self.same(self.card("#pins .card:nth-of-type(2)"), table[2, 2, n_layers]))
        self.check("pinned cells say so", b.run(
            "return document.querySelectorAll('td[aria-selected=true]').length") == 2)
        self.keep("pinned")
        b.click("#unpin")
        self.check("all can be unpinned", b.run("return document.getElementById('pins').hidden"))
        b.click(self.cell(1, 0, 2))
        b.click(self.cell(2, 0, 2))
        b.click(self.cell(1, 0, 2))
        self.check("a second click unpins", b.run(
            "return document.querySelectorAll('#pins .card').length") == 1)
        b.click(".card button")
        self.check("so does the card's button", b.run(
            "return document.getElementById('pins').hidden && !document.querySelector('td b')"))

    def keyboard(self, n_layers, table):
        b = self.browser
        b.run("document.activeElement.blur(); document.getElementById('fit').focus()")
        b.press("Tab")
        for _ in range(4):
            if b.run("return document.activeElement.matches('td')"):
                break
            b.press("Tab")
        last = b.run("return document.querySelector('tbody tr').cells.length") - 2
        b.press("End")
        self.check("the tab key reaches a map", self.same(self.card(), table[1, last, n_layers]),
                   self.card())
        b.press("ArrowLeft", "ArrowDown", "ArrowDown", "ArrowUp", "ArrowDown")
        self.check("arrow keys walk", self.same(self.card(), table[1, last - 1, n_layers - 2]))
        self.check("the focus is seen", b.run(
            "return parseFloat(getComputedStyle(document.activeElement).outlineWidth) >= 2"))
        b.press("ArrowUp", "ArrowUp", "ArrowUp", "Home", "ArrowLeft")
        self.check("and stay inside", self.same(self.card(), table[1, 0, n_layers]))
        b.press("Enter")
        self.check("Enter pins", self.same(self.card("#pins .card"), table[1, 0, n_layers]))
        b.press(" ")
        self.check("a space unpins", b.run("return document.getElementById('pins').hidden"))
        b.press("Escape")
        self.check("Escape hides the card", self.card() is None)
        b.press("Tab")
        self.check("the next tab leaves the map", b.run(
            "return document.activeElement.matches('section:nth-of-type(2) td')"))

    def zoom(self):
        b = self.browser
        width = "return document.querySelector('td').offsetWidth"
        wide = "return [...document.querySelectorAll('.scroll')].some(" \
               "n => n.scrollWidth > n.clientWidth + 1)"
        set_zoom = "const z = document.getElementById('zoom'); z.value = arguments[0];" \
                   "z.dispatchEvent(new Event('input'))"
        b.run(set_zoom, 200)
        large = b.run(width)
        b.run(set_zoom, 20)
        small = b.run(width)
        self.check("the zoom works", large > 3 * small, (large, small))
        self.check("tiny cells show colours alone", b.run(
            "return getComputedStyle(document.querySelector('td')).fontSize") == "0px")
        b.run(set_zoom, 200)
        b.click("#fit")
        self.check("the window is filled and not more", not b.run(wide) and b.run(width) > small)

    def paper(self):
        b = self.browser
        b.emulate(media="print", scheme="dark")
        self.check("on paper there are no tools", b.run(
            "return getComputedStyle(document.getElementById('tools')).display") == "none")
        self.check("and it is white", b.run(
            "return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)")
        worst = self.readable("h1, p, th, td")
        self.check("and can be read", worst >= 4.5, worst)
        b.emulate()
        pdf = base64.b64decode(b.print())
        self.check("it prints", pdf.startswith(b"%PDF"))
        if self.screenshots:
            with open(os.path.join(self.screenshots, "print.pdf"), "wb") as file:
                file.write(pdf)

    def one_page(self):
        b = self.browser
        options = [o for p in PERSONAS for o in ("--persona", p)] + ["--text", TEXT]
        table = self.tsv(*options, "--positions", "all", "--top-k", "10")
        n_layers = max(layer for _, _, layer in table)
        b.open(self.draw("page.html", TINY, *options))
        self.shape(n_layers, table)
        self.colours()
        self.pointer(n_layers, table)
        self.keyboard(n_layers, table)
        self.zoom()
        self.paper()
        said = b.console()
        self.check("the console is empty", said == [], said)

    # ---- A long prompt and many layers ----

    def large_page(self):
        b = self.browser
        folder = os.path.join(self.scratch, "deep")
        deep_model(folder, 40)
        path = self.draw("large.html", folder, "--ids", ",".join(str(5 + 8 * i) for i in range(60)))
        self.check("60 tokens and 40 layers are less than 2 MB", os.path.getsize(path) < 2000000)
        b.open(path)
        self.check("all cells are there", b.run("return document.querySelectorAll('td').length") == 2400)
        b.click("#fit")
        self.check("the map fits the window", b.run(
            "const n = document.querySelector('.scroll'); return n.scrollWidth <= n.clientWidth + 1"))
        self.check("its tokens are still to be seen", b.run(
            "return parseFloat(getComputedStyle(document.querySelector('td')).fontSize)") >= 8)
        self.keep("large")
        b.run("document.querySelector(arguments[0]).scrollIntoView({block: 'end'})",
              self.cell(1, 39, 59))
        b.hover(self.cell(1, 39, 59))
        self.check("the card is inside the window", b.run(
            "const r = document.getElementById('card').getBoundingClientRect();"
            "return r.width > 0 && r.right <= innerWidth && r.bottom <= innerHeight && r.left >= 0 &&"
            "  r.top >= 0"))
        said = b.console()
        self.check("the console is empty", said == [], said)

    # ---- More positions than the window has room for ----

    NUMBERS = """
      const boxes = [...document.querySelectorAll('tfoot small')]
        .filter(n => n.getClientRects().length).map(n => {
          const range = document.createRange();
          range.selectNodeContents(n);
          return [range.getBoundingClientRect(), n.closest('th')];
        });
      return [boxes.length, boxes.every(([r, th], i) =>
        (!i || r.left >= boxes[i - 1][0].right) &&
        (getComputedStyle(th).overflow === 'visible' || r.width <= th.clientWidth + 1))];
    """

    def wide_page(self):
        """What was wrong once: the last positions out of sight, tokens cut as if they ended there,
        numbers of positions cut to their first digit, a window that 300 positions did not fit."""
        b = self.browser
        folder = os.path.join(self.scratch, "wide")
        deep_model(folder, 3)
        b.open(self.draw("wide.html", folder, "--ids", ",".join(str(i % 400) for i in range(300))))
        self.check("the last position is in sight", b.run("""
            const last = document.querySelector('tbody tr').lastElementChild.getBoundingClientRect();
            return last.width > 20 && last.right <= innerWidth && last.left >= 0"""))
        set_zoom = "const z = document.getElementById('zoom'); z.value = arguments[0];" \
                   "z.dispatchEvent(new Event('input'))"
        b.run(set_zoom, 30)
        cut = b.run("""return [...document.querySelectorAll('td bdi')].map(n => {
              const range = document.createRange();
              range.selectNodeContents(n);
              const style = getComputedStyle(n);
              return [range.getBoundingClientRect().width - n.getBoundingClientRect().width,
                      style.maskImage !== 'none'];
            })""")
        self.check("a token that is cut fades, and no other",
                   any(over > 1 for over, _ in cut) and any(over <= 0 for over, _ in cut) and
                   all(faded for over, faded in cut if over > 1) and
                   not any(faded for over, faded in cut if over <= 0))
        for percent in (100, 44, 20, 10, 4):
            b.run(set_zoom, percent)
            n, good = b.run(self.NUMBERS)
            self.check(f"at {percent} % the numbers can be read", good and n >= 3, n)
        b.click("#fit")
        self.check("300 positions fit the window", b.run(
            "const n = document.querySelector('.scroll'); return n.scrollWidth <= n.clientWidth + 1"))
        n, good = b.run(self.NUMBERS)
        self.check("and still have their numbers", good and n >= 3, n)
        self.keep("wide")
        b.run(set_zoom, 100)
        b.emulate(media="print")
        n, good = b.run(self.NUMBERS)
        self.check("on paper too", good and n >= 3, n)
        b.emulate()
        b.run("document.querySelector('td[tabindex=\"0\"]').focus()")
        b.press("Home")
        scrolled = b.settle("document.querySelector('.scroll').scrollLeft")
        card = self.card()
        self.check("the focus keeps its card where it scrolls", scrolled == 0 and card is not None and
                   "position 0" in card["where"], (scrolled, card))
        said = b.console()
        self.check("the console is empty", said == [], said)

    # ---- Tokens that want to be something else ----

    def odd_tokens(self):
        b = self.browser
        folder = os.path.join(self.scratch, "odd")
        shutil.copytree("tests/fixtures/models/qwen2-window", folder)
        shutil.copy("tests/fixtures/odd-tokens/tokenizer.json", folder)
        ids = ",".join(map(str, range(48)))
        b.open(self.draw("odd.html", folder, "--ids", ids, "--top-k", "67", "--title",
                         "</title><script>throw 1</script>"))
        b.run("for (const cell of document.querySelectorAll('td')) { cell.focus(); cell.click(); }")
        self.check("all cells can be pinned",
                   b.run("return document.querySelectorAll('#pins .card').length") == 4 * 48)
        self.check("no token becomes an element", b.run("""
            return document.scripts.length === 1 && document.querySelectorAll('h1').length === 1 &&
              !document.querySelector('img, b b, section section, [onclick], [onmouseover]') &&
              [...document.querySelectorAll('*')].every(n =>
                [...n.attributes].every(a => !a.name.startsWith('on')))"""))
        said = b.console()
        self.check("the console is empty", said == [], said)
        self.check("a token's text is as it is", b.run("""
            return [...document.querySelector('tfoot tr').cells].some(
              n => n.querySelector('bdi')?.textContent === '<script>alert(1)</script>')"""))
        order = b.run("""return [...document.querySelector('tfoot tr').cells].slice(1).map(n =>
              Math.round(n.getBoundingClientRect().left)).every((x, i, all) => !i || x > all[i - 1])
            """)
        self.check("columns stay in order whatever turns the direction", order)
        # the backslash of a byte's hex is before its digits, in a Hebrew token too
        self.check("a byte reads as it does elsewhere", b.run("""
            const cell = [...document.querySelectorAll('tfoot th')].find(
              n => n.querySelector('bdi')?.textContent === '\u05d5\\\\xD7');
            const text = cell.querySelector('u').firstChild, range = document.createRange();
            const left = i => {
              range.setStart(text, i);
              range.setEnd(text, i + 1);
              return range.getBoundingClientRect().left;
            };
            return cell.dir === 'rtl' && left(0) < left(1) && left(1) < left(2) && left(2) < left(3)
            """))
        self.keep("odd")

    def run(self):
        self.one_page()
        self.large_page()
        self.wide_page()
        self.odd_tokens()


if __name__ == "__main__":
    sys.exit(Tests(os.path.abspath(sys.argv[1]), sys.argv[2],
                   sys.argv[3] if len(sys.argv) > 3 else None).main())
