#include "tests/harness/lens_tables.h"

#include <stdlib.h>
#include <string.h>

#include "tests/harness/message.h"
#include "tests/harness/text_cell.h"
#include "tests/harness/view.h"

/* ---- TSV ---- */

static void write_place(output *out, const heatmap *map, size_t panel, size_t position,
                        size_t layer, lens_columns columns) {
    const plens_lens_token *tokens = heatmap_tokens(map, &map->panels[panel], position, layer);
    size_t site = heatmap_site(map, &map->panels[panel], position, layer);
    for (size_t k = 0; k < map->top_k; k++) {
        if (map->n_panels > 1)
            output_format(out, "%zu\t", panel + 1);
        output_format(out, "%zu\t%zu\t%zu\t%ld\t", position, layer, k + 1, (long)tokens[k].id);
        output_token(out, map->s->tokenizer, tokens[k].id);
        output_format(out, "\t%.9g", (double)tokens[k].prob);
        if (columns.entropy)
            output_format(out, "\t%.9g", (double)map->panels[panel].entropy[site]);
        if (columns.kl)
            output_format(out, "\t%.9g", (double)map->panels[panel].kl[site]);
        output_format(out, "\n");
    }
}

void lens_tsv(output *out, const heatmap *map, lens_columns columns) {
    output_format(out, "%sposition\tlayer\trank\ttoken_id\ttoken\tprob%s%s\n",
                  map->n_panels > 1 ? "prompt\t" : "", columns.entropy ? "\tentropy" : "",
                  columns.kl ? "\tkl" : "");
    for (size_t i = 0; i < map->n_panels; i++) {
        const heatmap_panel *panel = &map->panels[i];
        for (size_t k = 0; k < panel->n_positions * map->n_layers; k++)
            write_place(out, map, i, panel->first_position + k / map->n_layers,
                        map->first_layer + k % map->n_layers, columns);
    }
}

/* ---- For people ---- */

/* A token and its probability in %, on its colour. */
static void add_token(view *v, const heatmap *map, lens_colours colours,
                      const plens_lens_token *token) {
    char paint[40] = "";
    if (colours.terminal != TERMINAL_PLAIN)
        terminal_paint(paint, colours.terminal,
                       palette_colour(colours.palette, palette_step((double)token->prob)));
    view_add_token(v, map->s->tokenizer, token->id);
    view_paint(v, paint);
    view_add(v, "%.0f", 100 * (double)token->prob);
    view_paint(v, paint);
}

/* One row of the table: the layer's tokens, at one position in the order of their rank, at several
 * positions the top one of each. */
static void add_layer(view *v, const heatmap *map, const heatmap_panel *panel, size_t layer,
                      lens_colours colours) {
    view_add(v, layer == map->s->info.n_layers ? "layer %zu (output)" : "layer %zu", layer);
    if (panel->n_positions == 1) {
        const plens_lens_token *tokens = heatmap_tokens(map, panel, panel->first_position, layer);
        for (size_t k = 0; k < map->top_k; k++)
            add_token(v, map, colours, &tokens[k]);
        return;
    }
    for (size_t i = 0; i < panel->n_positions; i++)
        add_token(v, map, colours, heatmap_tokens(map, panel, panel->first_position + i, layer));
}

/* What stands above the columns: the tokens read, or the ranks if there is one position. */
static void add_head(view *v, const heatmap *map, const heatmap_panel *panel, size_t n_places) {
    view_add(v, panel->n_positions > 1 ? "read" : "rank");
    for (size_t i = 0; i < n_places; i++) {
        if (panel->n_positions > 1)
            view_add_token(v, map->s->tokenizer, panel->ids[panel->first_position + i]);
        else
            view_add(v, "%zu", i + 1);
        view_add(v, "%%");
    }
}

static void print_panel(output *out, const heatmap *map, const heatmap_panel *panel,
                        lens_colours colours) {
    size_t n_places = panel->n_positions > 1 ? panel->n_positions : map->top_k;
    view v = {NULL, 1 + 2 * n_places, NULL, 0};
    view_column *columns = allocate(v.n_columns, sizeof *columns);
    for (size_t c = 1; c < v.n_columns; c++) {
        columns[c].right = c % 2 == 0;
        columns[c].gap = c % 2 == 0 ? 1 : colours.terminal != TERMINAL_PLAIN ? 2 : 3;
    }
    v.columns = columns;
    add_head(&v, map, panel, n_places);
    for (size_t layer = heatmap_last_layer(map); layer >= map->first_layer; layer--)
        add_layer(&v, map, panel, layer, colours);
    view_print(&v, out, view_width(), 1, 2);
    free(columns);
}

static void print_explanation(output *out, const heatmap *map) {
    const heatmap_panel *panel = &map->panels[0];
    char after[40];
    if (panel->n_positions > 1) {
        view_note(
            out, view_width(),
            "Across: the text as read, token by token. In each column: the token that every "
            "layer would put next, and its probability in %. The last layer is what the model "
            "says.");
        return;
    }
    if (map->n_panels > 1)
        snprintf(after, sizeof after, "After one position,");
    else
        snprintf(after, sizeof after, "After position %zu,", panel->first_position);
    char *words = join(after,
                       " the tokens that every layer would put next, the likeliest first, with "
                       "their probability in %. The last layer is what the model says.",
                       NULL);
    view_note(out, view_width(), words);
    free(words);
}

static void print_text(output *out, const char *text) {
    text_cell cell = text_cell_of(text, strlen(text), 0);
    sign s;
    while (text_cell_next(&cell, &s))
        output_bytes(out, s.text, strlen(s.text));
    output_format(out, "\n\n");
}

void lens_view(output *out, const heatmap *map, lens_colours colours) {
    print_explanation(out, map);
    for (size_t i = 0; i < map->n_panels; i++) {
        const heatmap_panel *panel = &map->panels[i];
        if (i > 0)
            output_format(out, "\n");
        if (map->n_panels > 1)
            output_format(out, "Prompt %zu: ", i + 1);
        if (map->n_panels > 1)
            print_text(out, panel->text == NULL ? "token ids" : panel->text);
        print_panel(out, map, panel, colours);
    }
}
