#include "tests/harness/html.h"

#include <stdlib.h>
#include <string.h>

#include "tests/harness/markup.h"
#include "tests/harness/message.h"

static const markup_tags tags = {"<i>", "</i>", "<u>", "</u>"};

/* Tokens that the page speaks of, each written once: cells name them by their place in that list.
 */
typedef struct page {
    output *out;
    const heatmap *map;
    const plens_tokenizer *tokenizer;
    int32_t *places; /* [vocab_size] of an id in the list, from 1; 0: not in it */
    int32_t *ids;    /* [n_ids] the list */
    size_t n_ids;
} page;

static void put(page *p, const char *text) {
    output_bytes(p->out, text, strlen(text));
}

static size_t place_of(page *p, int32_t id) {
    if (p->places[id] == 0) {
        p->ids[p->n_ids] = id;
        p->places[id] = (int32_t)++p->n_ids;
    }
    return (size_t)p->places[id] - 1;
}

static void put_token(page *p, int32_t id) {
    put(p, "<bdi>");
    markup_token(p->out, p->tokenizer, id, &tags);
    put(p, "</bdi>");
}

/* ---- Head ---- */

static void put_palettes(page *p) {
    for (int name = 0; name < N_PALETTES; name++) {
        for (int step = 0; step < PALETTE_STEPS; step++) {
            colour c = palette_colour((palette)name, step), ink = palette_ink(c);
            output_format(p->out, "[data-palette=%s] .c%d{background:#%02x%02x%02x;color:%s}\n",
                          palette_choices[name].name, step, c.red, c.green, c.blue,
                          ink.red == 0 ? "#000" : "#fff");
        }
    }
}

static void put_head(page *p, palette colours) {
    output_format(p->out,
                  "<!DOCTYPE html>\n"
                  "<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\" data-palette=\"%s\">\n"
                  "<head>\n<meta charset=\"utf-8\"/>\n"
                  "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                  "img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\"/>\n"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
                  "<meta name=\"generator\" content=\"plens " PLENS_VERSION "\"/>\n"
                  "<link rel=\"icon\" href=\"data:,\"/>\n<title>Logit lens of ",
                  palette_choices[colours].name);
    markup_text(p->out, p->map->title, NULL);
    put(p, "</title>\n<style>\n");
    for (const char *const *part = html_style; *part != NULL; part++)
        put(p, *part);
    put_palettes(p);
    put(p, "</style>\n</head>\n");
}

/* ---- Above the maps ---- */

static void put_scale(page *p) {
    put(p, "<div class=\"bar\">\n<div class=\"scale\">probability of the top token <b>0</b>");
    for (int step = 0; step < PALETTE_STEPS; step += 2)
        output_format(p->out, "<span class=\"c%d\"></span>", step);
    put(p, "<b>1</b></div>\n"
           "<div><span class=\"mark f\"></span> is the final answer: the last layer's top token "
           "here</div>\n"
           "<div><span style=\"text-decoration:underline\">token</span> is what follows in the "
           "prompt</div>\n</div>\n");
}

static void put_tools(page *p) {
    put(p, "<div class=\"bar\" id=\"tools\" hidden=\"hidden\">\n"
           "<label>colours <select id=\"palette\">");
    for (int name = 0; name < N_PALETTES; name++)
        output_format(p->out, "<option>%s</option>", palette_choices[name].name);
    put(p, "</select></label>\n"
           "<label>page <select id=\"theme\"><option value=\"\">as the system</option>"
           "<option>light</option><option>dark</option></select></label>\n"
           "<label>zoom <input id=\"zoom\" type=\"range\" min=\"2\" max=\"200\" step=\"1\" "
           "value=\"100\"/> <output id=\"zoomed\">100 %</output></label>\n"
           "<button id=\"fit\" type=\"button\">fit the window</button>\n"
           "<span class=\"help\">Point at a cell for all its tokens, click to pin it; or "
           "<kbd>Tab</kbd> and the arrow keys, <kbd>Enter</kbd> to pin.</span>\n</div>\n");
}

static void put_header(page *p) {
    put(p, "<header>\n<h1>Logit lens <span>");
    markup_text(p->out, p->map->title, &tags);
    put(p, "</span></h1>\n"
           "<p>What every layer would say next, had it been the last, after each token that was "
           "read.</p>\n");
    put_scale(p);
    put_tools(p);
    put(p, "</header>\n");
}

/* ---- A map ---- */

/* The attribute of a cell whose token is cut, if need be, at its left end. */
static const char *direction(const page *p, int32_t id) {
    char name[16];
    return text_cell_is_leftward(text_cell_of_token(p->tokenizer, id, name)) ? " dir=\"rtl\"" : "";
}

static size_t token_columns(const heatmap *map, int32_t id) {
    char name[16];
    size_t columns = 0;
    sign s;
    text_cell cell = text_cell_of_token(map->s->tokenizer, id, name);
    while (text_cell_next(&cell, &s))
        columns += s.columns;
    return columns;
}

/* The columns that the widest token needs, within limits. */
static size_t cell_columns(const heatmap *map) {
    size_t columns = 4;
    const size_t most = 9;
    for (size_t i = 0; i < map->n_panels; i++) {
        const heatmap_panel *panel = &map->panels[i];
        for (size_t k = 0; k < panel->n_positions * map->n_layers && columns < most; k++) {
            size_t wanted = token_columns(map, panel->tokens[k * map->top_k].id);
            columns = wanted > columns ? wanted : columns;
        }
        for (size_t k = panel->first_position; k < panel->n_ids && columns < most; k++) {
            size_t wanted = token_columns(map, panel->ids[k]);
            columns = wanted > columns ? wanted : columns;
        }
    }
    return columns < most ? columns : most;
}

static void put_heading(page *p, const heatmap_panel *panel, size_t number) {
    put(p, "<section>\n<h2>");
    if (panel->persona != NULL && panel->persona[0] != '\0')
        markup_text(p->out, panel->persona, &tags);
    else if (panel->persona != NULL)
        put(p, "without a persona");
    else if (p->map->n_panels > 1)
        output_format(p->out, "prompt %zu", number);
    else
        put(p, "prompt");
    put(p, "</h2>\n<p class=\"prompt\">");
    if (panel->text != NULL)
        markup_text(p->out, panel->text, &tags);
    else
        put(p, "token ids, as given");
    put(p, "</p>\n");
}

/* The row of tokens that follow. What is final and what follows is said to the script here. */
static void put_next_tokens(page *p, const heatmap_panel *panel) {
    put(p, "<thead><tr><th class=\"axis\" scope=\"row\">next<br/>token</th>");
    for (size_t i = 0; i < panel->n_positions; i++) {
        int32_t next = heatmap_next_id(panel, panel->first_position + i);
        output_format(p->out, "<th data-final=\"%zu\"", place_of(p, panel->final_ids[i]));
        if (next >= 0) {
            output_format(p->out, " data-next=\"%zu\"%s>", place_of(p, next), direction(p, next));
            put_token(p, next);
        } else {
            put(p, " title=\"the prompt ends here\">&#8211;");
        }
        put(p, "</th>");
    }
    put(p, "</tr></thead>\n");
}

static void put_read_tokens(page *p, const heatmap_panel *panel) {
    put(p, "<tfoot><tr><th class=\"axis\" scope=\"row\">token<br/>read</th>");
    for (size_t i = 0; i < panel->n_positions; i++) {
        size_t position = panel->first_position + i;
        output_format(p->out, "<th scope=\"col\" data-position=\"%zu\" data-token=\"%zu\"%s>",
                      position, place_of(p, panel->ids[position]),
                      direction(p, panel->ids[position]));
        put_token(p, panel->ids[position]);
        output_format(p->out, "<small>%zu</small></th>", position);
    }
    put(p, "</tr></tfoot>\n");
}

static void put_cell(page *p, const heatmap_panel *panel, size_t position, size_t layer) {
    const plens_lens_token *tokens = heatmap_tokens(p->map, panel, position, layer);
    int is_final = tokens->id == panel->final_ids[position - panel->first_position];
    int is_next = tokens->id == heatmap_next_id(panel, position);
    output_format(p->out, "<td class=\"c%d%s%s\" data-k=\"", palette_step((double)tokens->prob),
                  is_final ? " f" : "", is_next ? " n" : "");
    for (size_t k = 0; k < p->map->top_k; k++)
        output_format(p->out, "%s%zu %.4g", k == 0 ? "" : " ", place_of(p, tokens[k].id),
                      (double)tokens[k].prob);
    output_format(p->out, "\"%s>", direction(p, tokens->id));
    put_token(p, tokens->id);
    put(p, "</td>\n");
}

static void put_panel(page *p, const heatmap_panel *panel, size_t number) {
    put_heading(p, panel, number);
    output_format(p->out,
                  "<div class=\"scroll\">\n<table style=\"--n:%zu\">\n"
                  "<colgroup><col class=\"axis\"/><col span=\"%zu\"/></colgroup>\n",
                  panel->n_positions, panel->n_positions);
    put_next_tokens(p, panel);
    put(p, "<tbody>\n");
    for (size_t layer = heatmap_last_layer(p->map); layer >= p->map->first_layer; layer--) {
        output_format(p->out, "<tr><th class=\"axis\" scope=\"row\">%zu</th>\n", layer);
        for (size_t i = 0; i < panel->n_positions; i++)
            put_cell(p, panel, panel->first_position + i, layer);
        put(p, "</tr>\n");
    }
    put(p, "</tbody>\n");
    put_read_tokens(p, panel);
    put(p, "</table>\n</div>\n</section>\n");
}

/* ---- Below the maps ---- */

static void put_caption(page *p) {
    const plens_model_info *info = &p->map->s->info;
    put(p,
        "<footer>\n<p><b>Rows</b>: layer l, the output of block l (hook point resid_post), read "
        "by the model's own final norm, its scale computed anew for each state, and unembedding: "
        "softmax(W<sub>U</sub> norm(h<sub>l</sub>)). ");
    output_format(p->out,
                  "Layers %zu to %zu of %zu, the last on top; layer %zu is the model's "
                  "output. ",
                  p->map->first_layer, heatmap_last_layer(p->map), info->n_layers, info->n_layers);
    put(p, "<b>Columns</b>: the prompt's tokens by position, from 0. <b>Cells</b>: the likeliest "
           "next token; the colour is its probability, from 0 to 1 in every picture. A token's "
           "spaces are shown as <i>\xC2\xB7</i>, bytes of a cut character as <u>\\xE3</u>.</p>\n"
           "<p><b>Model</b>: ");
    markup_text(p->out, p->map->title, &tags);
    output_format(
        p->out,
        " (%s, %zu layers, %zu wide, vocabulary %zu), computed in %s by plens " PLENS_VERSION
        ".</p>\n</footer>\n",
        info->architecture, info->n_layers, info->d_model, info->vocab_size,
        heatmap_precision(p->map));
}

static void put_tokens(page *p) {
    put(p, "<ul id=\"tokens\" hidden=\"hidden\">\n");
    for (size_t i = 0; i < p->n_ids; i++) {
        output_format(p->out, "<li data-id=\"%ld\">", (long)p->ids[i]);
        markup_token(p->out, p->tokenizer, p->ids[i], &tags);
        put(p, "</li>\n");
    }
    put(p, "</ul>\n");
}

static void put_script(page *p) {
    put(p, "<script>//<![CDATA[\n");
    for (const char *const *part = html_script; *part != NULL; part++)
        put(p, *part);
    put(p, "//]]></script>\n");
}

void html_write(output *out, const heatmap *map, palette colours) {
    size_t vocab_size = map->s->info.vocab_size;
    page p = {out, map, map->s->tokenizer, NULL, NULL, 0};
    p.places = allocate(vocab_size, sizeof *p.places);
    p.ids = allocate(vocab_size, sizeof *p.ids);
    put_head(&p, colours);
    size_t total = 0;
    for (size_t i = 0; i < map->n_panels; i++)
        total += map->panels[i].n_positions;
    output_format(out, "<body style=\"--w:%.1fem;--total:%zu\"%s>\n",
                  0.55 * (double)cell_columns(map) + 0.7, total,
                  total > 100 ? " class=\"dense\"" : "");
    put_header(&p);
    put(&p, "<main>\n");
    for (size_t i = 0; i < map->n_panels; i++)
        put_panel(&p, &map->panels[i], i + 1);
    put(&p, "</main>\n<div id=\"pins\" hidden=\"hidden\"><button id=\"unpin\" "
            "type=\"button\">unpin all</button></div>\n");
    put_caption(&p);
    put_tokens(&p);
    put(&p, "<div id=\"card\" class=\"card\" role=\"status\" hidden=\"hidden\"></div>\n");
    put_script(&p);
    put(&p, "</body>\n</html>\n");
    free(p.places);
    free(p.ids);
}
