#include "tests/harness/html.h"

#include <stddef.h>

const char *const html_style[] = {
    /* Light and dark. */
    ":root{color-scheme:light dark;--page:#fff;--text:#1b1d21;--soft:#5b616b;--line:#d4d8de;"
    "--card:#fff;--focus:#0b57d0;--zoom:1}\n"
    "@media(prefers-color-scheme:dark){:root:not([data-theme=light]){--page:#15171b;--text:#e9ebef;"
    "--soft:#a6adb8;--line:#3a4049;--card:#20242a;--focus:#8ab4f8}}\n"
    ":root[data-theme=dark]{color-scheme:dark;--page:#15171b;--text:#e9ebef;--soft:#a6adb8;"
    "--line:#3a4049;--card:#20242a;--focus:#8ab4f8}\n"
    ":root[data-theme=light]{color-scheme:light}\n"
    "*{box-sizing:border-box}[hidden]{display:none!important}\n"
    "body{margin:0;padding:1.2rem 1.4rem 3rem;background:var(--page);color:var(--text);"
    "font:14px/1.45 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','Noto Sans CJK JP',"
    "sans-serif}\n"
    "h1{font-size:1.35rem;margin:0}h2{font-size:1rem;margin:0}p{margin:.2rem 0}\n"
    "h1 span{font-weight:400;color:var(--soft)}\n"
    "header p,footer,.prompt,.help{color:var(--soft)}header{margin-bottom:1rem}\n"
    "footer{margin-top:1.4rem;max-width:62rem;font-size:.88rem}footer b{color:var(--text)}\n"
    "u,i{text-decoration:none;font-style:normal;white-space:nowrap}\n"
    "u{font-family:ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;font-size:.88em}\n"
    "kbd{border:1px solid var(--line);border-radius:3px;padding:0 .3em;font:inherit}\n",

    /* Above the maps: what the colours say, and the tools. */
    ".bar{display:flex;flex-wrap:wrap;gap:.5rem 1.6rem;align-items:center;margin:.7rem 0 0}\n"
    ".bar label,.bar div{display:flex;gap:.5rem;align-items:center}\n"
    ".bar select,.bar button{font:inherit;color:inherit;background:var(--card);border:1px solid "
    "var(--line);border-radius:5px;padding:.12rem .55rem}\n"
    ":focus-visible{outline:2px solid var(--focus);outline-offset:1px}\n"
    ".scale{gap:0!important}.scale span{width:4px;height:14px}.scale b{font-weight:400;"
    "font-variant-numeric:tabular-nums;margin:0 .45rem}\n"
    ".mark{display:inline-block;width:14px;height:14px;border:1px solid var(--line);"
    "position:relative}\n"
    ".mark.f::before,td.f::before{content:'';position:absolute;left:0;top:0;"
    "border-top:.55em solid currentColor;border-right:.55em solid transparent}\n"
    "output{font-variant-numeric:tabular-nums;min-width:3.2em}\n",

    /* The maps, side by side where there is room. */
    "main{display:flex;flex-wrap:wrap;gap:1.4rem 2rem;align-items:flex-start}\n"
    "section{flex:1 1 26rem;min-width:0;max-width:max-content}\n"
    ".prompt{font-size:.88rem;white-space:pre-wrap;overflow-wrap:anywhere;min-height:1.45em}\n"
    ".scroll{overflow-x:auto;margin-top:.4rem;padding-bottom:.3rem}\n"
    "table{table-layout:fixed;border-collapse:separate;border-spacing:1px;"
    "font-size:calc(12px*max(1,var(--zoom)));line-height:1.5;"
    "width:calc(3.4em + var(--n)*(var(--w)*min(1,var(--zoom)) + 1px))}\n"
    "col.axis{width:3.4em}\n"
    "th,td{overflow:hidden;text-overflow:ellipsis;white-space:nowrap;padding:0 2px;"
    "text-align:center;font-weight:400;height:1.75em;position:relative}\n"
    "td{cursor:pointer}td.n{text-decoration:underline;text-underline-offset:2px;"
    "text-decoration-thickness:1.5px}\n"
    "tbody th{text-align:right;padding-right:.5em;font-variant-numeric:tabular-nums}\n"
    "thead th,tfoot th{background:color-mix(in srgb,var(--line) 35%,transparent);padding:1px 2px}\n"
    "th.axis{position:sticky;left:0;z-index:1;background:var(--page);color:var(--soft);"
    "font-size:10px;text-align:right;padding-right:.6em;line-height:1.15}\n"
    "tbody th.axis{font-size:11px}\n"
    "th small{display:block;font-size:9px;line-height:1.1;color:var(--soft)}\n"
    "th.on{color:var(--text);font-weight:700}\n"
    "td:focus,td.live{outline:2px solid currentColor;outline-offset:-2px}\n"
    "td:focus-visible{outline:3px solid currentColor;outline-offset:-3px}\n"
    "td[aria-selected=true]{box-shadow:inset 0 0 0 2px currentColor,inset 0 0 0 4px var(--page);"
    "outline:none}\n"
    "td b{position:absolute;right:2px;top:1px;font-size:8px;line-height:1;font-weight:700;"
    "padding:1px 2px;border-radius:2px;background:var(--page);color:var(--text)}\n"
    ":root[data-tiny] td,:root[data-tiny] thead th,:root[data-tiny] tfoot th{font-size:0;"
    "padding:0}\n"
    ":root[data-tiny] th.axis{font-size:10px}:root[data-tiny] td::before{font-size:6px}\n",

    /* All tokens of a cell: beside the pointer or the focus, and pinned below the maps. */
    ".card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.6rem "
    ".8rem .7rem;width:21rem;max-width:100%}\n"
    "#card{position:fixed;z-index:3;pointer-events:none;box-shadow:0 6px 24px rgb(0 0 0/.28)}\n"
    "#pins{display:flex;flex-wrap:wrap;gap:1rem;margin-top:1.2rem}\n"
    ".card h3{margin:0;font-size:.9rem;display:flex;gap:.5rem;justify-content:space-between}\n"
    ".card h3 button{font:inherit;color:inherit;background:none;border:1px solid var(--line);"
    "border-radius:5px;line-height:1.1;align-self:flex-start}\n"
    ".card p{color:var(--soft);font-size:.82rem}\n"
    ".card ol{list-style:none;margin:.4rem 0 0;padding:0}\n"
    ".card li{display:grid;grid-template-columns:minmax(0,1fr) 4.6em 5em;gap:.6rem;"
    "position:relative;padding:1px 4px;font-variant-numeric:tabular-nums}\n"
    ".card li>*{position:relative;text-align:right}\n"
    ".card li .t{text-align:left;white-space:pre-wrap;overflow-wrap:anywhere}\n"
    ".card li .id{color:var(--soft);font-size:.82em;align-self:center}\n"
    ".card li .fill{position:absolute;left:0;top:0;bottom:0;background:color-mix(in srgb,"
    "var(--focus) 22%,transparent);border-radius:3px}\n"
    ".card em{font-style:normal;font-size:.8em;color:var(--soft)}\n",

    /* On paper: no tools, everything as wide as the page, on white. */
    "@page{size:A4 landscape;margin:11mm}\n"
    "@media print{:root,:root[data-theme=dark]{color-scheme:light;--page:#fff;--text:#000;"
    "--soft:#333;--line:#aaa;--card:#fff}\n"
    "*{-webkit-print-color-adjust:exact;print-color-adjust:exact}\n"
    "body{padding:0;font-size:8pt}#tools,#card,.help,.card button{display:none!important}\n"
    "main{flex-wrap:nowrap;gap:5mm}section{flex:1 1 0;max-width:none}\n"
    ".scroll{overflow:visible}table{width:100%!important;font-size:6.2pt}\n"
    "td,th{height:1.6em}th.axis{position:static}.card{width:60mm;break-inside:avoid}}\n",
    NULL,
};
