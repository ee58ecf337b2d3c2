/* The report as one page that needs nothing else; it can be read without its script, which sorts
 * the tables. It is well-formed XML too. */
#include <string.h>

#include "tests/harness/html.h"
#include "tests/harness/markup.h"
#include "tests/harness/report_files.h"
#include "tests/harness/report_page.h"

static void put(output *out, const char *text) {
    output_bytes(out, text, strlen(text));
}

static void put_head(output *out) {
    put(out, "<!DOCTYPE html>\n"
             "<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n"
             "<head>\n<meta charset=\"utf-8\"/>\n"
             "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
             "img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\"/>\n"
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
             "<meta name=\"generator\" content=\"plens " PLENS_VERSION "\"/>\n"
             "<link rel=\"icon\" href=\"data:,\"/>\n<title>Persona consistency</title>\n<style>\n");
    put(out, html_style[0]);
    for (const char *const *part = page_style; *part != NULL; part++)
        put(out, *part);
    put(out, "</style>\n</head>\n");
}

static void put_term(output *out, const char *name, const char *text) {
    output_format(out, "<dt>%s</dt><dd>", name);
    markup_text(out, text, NULL);
    put(out, "</dd>\n");
}

static void put_header(output *out, const report *r) {
    static const char *const names[N_TERMS] = {
        "data", "precision", "R", "gold form", "with a persona", "without", "conditions"};
    output_format(out,
                  "<header>\n<h1>Persona consistency <span>%zu model%s, %zu questions in %zu "
                  "task%s</span></h1>\n",
                  r->n_runs, r->n_runs == 1 ? "" : "s", r->n_questions, r->n_tasks,
                  r->n_tasks == 1 ? "" : "s");
    put(out, "<p>How surely the layers of a language model say what a persona would say, with the "
             "persona in the prompt and without it.</p>\n<dl>\n");
    for (size_t t = 0; t < N_TERMS; t++)
        put_term(out, names[t], r->runs[0].terms[t]);
    put(out,
        "</dl>\n<nav aria-label=\"sections\"><a href=\"#claims\">claims</a> "
        "<a href=\"#table1\">table 1</a> <a href=\"#tests\">tests</a> "
        "<a href=\"#figure2\">figure 2</a> <a href=\"#layers\">layers</a> "
        "<a href=\"#runs\">runs</a> <a href=\"#notes\">notes</a>\n"
        "<label id=\"tools\" hidden=\"hidden\">page <select id=\"theme\"><option value=\"\">as "
        "the system</option><option>light</option><option>dark</option></select></label>"
        "</nav>\n</header>\n");
}

void report_html(output *out, const void *user) {
    const results *found = user;
    put_head(out);
    put(out, "<body>\n");
    put_header(out, found->report);
    put(out, "<main>\n");
    page_claims(out, found);
    page_table1(out, found);
    page_tests(out, found);
    page_figure2(out, found);
    page_layers(out, found);
    page_runs(out, found);
    page_notes(out, found);
    put(out, "</main>\n<footer><p>Made by plens " PLENS_VERSION ".</p></footer>\n"
             "<script>//<![CDATA[\n");
    for (const char *const *part = page_script; *part != NULL; part++)
        put(out, *part);
    put(out, "//]]></script>\n</body>\n</html>\n");
}
