#include <stddef.h>

#include "tests/harness/report_page.h"

const char *const page_style[] = {
    /* Colours of lines and verdicts, light and dark; all are 3 : 1 or more on the page. */
    ":root{--k0:#0b5cc2;--k1:#b3480c;--k2:#1d7a4b;--k3:#7b3fa3;--early:#c26a00;--late:#5b2a96;"
    "--yes:#17693c;--no:#a3261c;--open:#5b616b}\n"
    "@media screen and (prefers-color-scheme:dark){:root:not([data-theme=light]){--k0:#7ab4ff;"
    "--k1:#ff9d66;--k2:#6fd3a0;--k3:#cf9df2;--early:#ffb14d;--late:#a58bff;--yes:#74d69d;"
    "--no:#ff9a8f;--open:#a6adb8}}\n"
    ":root[data-theme=dark]{--k0:#7ab4ff;--k1:#ff9d66;--k2:#6fd3a0;--k3:#cf9df2;--early:#ffb14d;"
    "--late:#a58bff;--yes:#74d69d;--no:#ff9a8f;--open:#a6adb8}\n",

    "body{max-width:88rem;margin:0 auto}h2{font-size:1.2rem;margin:0 0 .3rem}"
    "h3{font-size:1rem;margin:1.2rem 0 .3rem}\n"
    "main{display:block}section{margin:2.2rem 0 0;padding-top:1.2rem;border-top:1px solid "
    "var(--line)}section>p,#notes ul{max-width:56rem}#notes li{margin:.35rem 0}\n"
    "section>p{color:var(--soft)}dl{display:flex;flex-wrap:wrap;gap:.1rem 1.6rem;margin:.6rem 0}"
    "dl>*{margin:0}dt{color:var(--soft)}dt::after{content:':'}dt{margin-right:-1.2rem}"
    "dd{font-family:ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;font-size:.92em;"
    "overflow-wrap:anywhere}\n"
    "nav{display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;align-items:center;margin-top:.8rem}"
    "a{color:var(--focus)}nav label{margin-left:auto}select{font:inherit;color:inherit;"
    "background:var(--card);border:1px solid var(--line);border-radius:5px;padding:.12rem .5rem}\n"
    ":focus-visible{outline:2px solid var(--focus);outline-offset:1px}\n",

    /* Tables. */
    ".scroll{overflow-x:auto;margin:.8rem 0}table{border-collapse:collapse;"
    "font-variant-numeric:tabular-nums}caption{text-align:left;font-weight:600;"
    "padding:0 0 .3rem;white-space:nowrap}\n"
    "th,td{padding:.16rem .6rem;text-align:left;border-bottom:1px solid var(--line);"
    "white-space:nowrap}th{background:var(--band);font-weight:600;vertical-align:bottom}"
    ".n{text-align:right}.none{color:var(--soft)}tbody tr:hover{background:var(--band)}\n"
    "th button{font:inherit;color:inherit;background:none;border:0;padding:0;cursor:pointer}"
    "th button::after{content:' \xE2\x86\x95';color:var(--soft);font-weight:400}"
    "th[aria-sort=ascending] button::after{content:' \xE2\x86\x91';color:inherit}"
    "th[aria-sort=descending] button::after{content:' \xE2\x86\x93';color:inherit}\n"
    ".up span{color:var(--yes)}.down span{color:var(--no)}"
    "\n",

    /* Claims. */
    ".claim b{margin-right:.4rem}p.claim{margin:.5rem 0 .5rem 1.1rem;color:var(--text)}"
    "details{margin:.5rem 0}summary{cursor:pointer;padding:.15rem 0}\n"
    ".verdict{display:inline-block;border:1px solid currentColor;border-radius:99px;"
    "padding:0 .6em;font-size:.86em;color:var(--open)}.verdict.yes{color:var(--yes)}"
    ".verdict.no{color:var(--no)}.verdict.few{border-style:dashed}\n",

    /* Charts. */
    ".panels{display:grid;grid-template-columns:repeat(var(--n),minmax(0,25rem));gap:.8rem 1.4rem}"
    "@media (max-width:48rem){.panels{grid-template-columns:minmax(0,1fr)}}\n"
    "figure{margin:0}figcaption{font-size:.92em}figure svg{display:block;width:100%;height:auto}"
    "figure text{font-size:10px;fill:var(--soft)}.grid{stroke:var(--line);stroke-width:.7;"
    "fill:none}\n"
    ".legend{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.4rem;padding:0;margin:.5rem "
    "0}.swatch{width:34px;height:12px;vertical-align:-1px}\n"
    ".kind.k0{--c:var(--k0)}.kind.k1{--c:var(--k1)}.kind.k2{--c:var(--k2)}.kind.k3{--c:var(--k3)}"
    ".seq{--c:color-mix(in srgb,var(--late) var(--p),var(--early))}\n"
    ".line{fill:none;stroke:var(--c);stroke-width:1.7;stroke-linejoin:round}.mark{fill:var(--c);"
    "stroke:none}.band{fill:var(--c);fill-opacity:.14}.k1 .line{stroke-dasharray:6 2.5}"
    ".k2 .line{stroke-dasharray:2 2}.k3 .line{stroke-dasharray:7 2 1.5 2}"
    ".seq .line{stroke-dasharray:none}\n",

    /* On paper. */
    "@page{size:A4 landscape;margin:11mm}\n"
    "@media print{:root,:root[data-theme=dark]{color-scheme:light;--page:#fff;--text:#000;"
    "--soft:#333;--line:#aaa;--band:#eee;--card:#fff}nav,#tools{display:none!important}"
    "body{padding:0;font-size:8pt;max-width:none}.scroll{overflow:visible}"
    "figure,tr{break-inside:avoid}th button::after{content:''!important}}\n",
    NULL,
};

const char *const page_script[] = {
    "'use strict';\n"
    "const value = cell => 'v' in cell.dataset ? Number(cell.dataset.v) : NaN;\n"
    /* Cells without a value go last whichever way. */
    "function compare(a, b, isNumber, sign) {\n"
    "  if (!isNumber) return sign * a.textContent.localeCompare(b.textContent, 'en', "
    "{numeric: true});\n"
    "  const x = value(a), y = value(b);\n"
    "  if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y);\n"
    "  return sign * (x - y);\n"
    "}\n"
    "function sort(table, head) {\n"
    "  const isNumber = head.classList.contains('n'), before = head.getAttribute('aria-sort');\n"
    "  const down = before ? before === 'ascending' : isNumber, at = head.cellIndex;\n"
    "  const rows = [...table.tBodies[0].rows];\n"
    "  for (const cell of head.parentNode.cells) cell.removeAttribute('aria-sort');\n"
    "  head.setAttribute('aria-sort', down ? 'descending' : 'ascending');\n"
    "  rows.sort((a, b) => compare(a.cells[at], b.cells[at], isNumber, down ? -1 : 1));\n"
    "  table.tBodies[0].append(...rows);\n"
    "}\n"
    "for (const table of document.querySelectorAll('table.sortable')) {\n"
    "  for (const head of table.tHead.rows[0].cells) {\n"
    "    const button = document.createElement('button');\n"
    "    button.type = 'button';\n"
    "    button.append(...head.childNodes);\n"
    "    head.append(button);\n"
    "    button.addEventListener('click', () => sort(table, head));\n"
    "  }\n"
    "}\n"
    "const theme = document.getElementById('theme');\n"
    "document.getElementById('tools').hidden = false;\n"
    "theme.addEventListener('change', () => {\n"
    "  if (theme.value) document.documentElement.dataset.theme = theme.value;\n"
    "  else delete document.documentElement.dataset.theme;\n"
    "});\n",
    NULL,
};
