#include "tests/harness/svg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/svg_text.h"

/* Sizes in pixels. */
static const double margin = 12, text_size = 10, small_size = 8.5, row_height = 17, axis_width = 24,
                    label_width = 14, panel_gap = 22, band_gap = 10, leading = 12, least_cell = 26,
                    most_cell = 62, least_text = 190, caption_leading = 11;

static const char bold[] = " font-weight=\"bold\"", soft[] = " fill=\"#444\"", plain[] = "";

/* Panels stand side by side. Positions that are too many for the width of a page go on in another
 * band below: of every panel the last band_columns ones in the last band, those before them in the
 * band above, so that what personas are asked alike stands side by side. */
typedef struct figure {
    output *out;
    const heatmap *map;
    palette colours;
    double cell_width;
    size_t n_bands, band_columns;
    size_t n_prompt_lines;        /* of the longest prompt */
    double grid_top, band_height; /* of the first band's cells; from one band's to the next's */
    double legend, caption;       /* their tops */
    double width, height;
} figure;

/* ---- Sizes ---- */

static text_cell signs_of(const figure *f, int32_t id, char name[16]) {
    return text_cell_of_token(f->map->s->tokenizer, id, name);
}

static double widest(const figure *f, int32_t id, double width) {
    char name[16];
    double found = svg_text_width(signs_of(f, id, name)) * text_size + 9;
    return found > width ? found : width;
}

/* As wide as the widest token needs, within limits. */
static double find_cell_width(const figure *f) {
    double width = least_cell;
    for (size_t i = 0; i < f->map->n_panels; i++) {
        const heatmap_panel *panel = &f->map->panels[i];
        for (size_t k = 0; k < panel->n_positions * f->map->n_layers; k++)
            width = widest(f, panel->tokens[k * f->map->top_k].id, width);
        for (size_t k = 0; k < panel->n_positions; k++)
            width = widest(f, panel->ids[panel->first_position + k], width);
    }
    return width < most_cell ? width : most_cell;
}

static size_t longest(const heatmap *map) {
    size_t n = 0;
    for (size_t i = 0; i < map->n_panels; i++)
        n = map->panels[i].n_positions > n ? map->panels[i].n_positions : n;
    return n;
}

/* What a panel has of its n_positions in the bands up to this one. */
static size_t band_end(const figure *f, const heatmap_panel *panel, size_t band) {
    size_t below = (f->n_bands - 1 - band) * f->band_columns;
    return panel->n_positions > below ? panel->n_positions - below : 0;
}

static size_t band_begin(const figure *f, const heatmap_panel *panel, size_t band) {
    return band == 0 ? 0 : band_end(f, panel, band - 1);
}

static double grid_height(const figure *f) {
    return (double)f->map->n_layers * row_height;
}

/* A panel's, its axis not counted: few positions still leave room for the text above them. */
static double panel_width(const figure *f, const heatmap_panel *panel) {
    size_t n = panel->n_positions < f->band_columns ? panel->n_positions : f->band_columns;
    double width = (double)n * f->cell_width;
    return width > least_text ? width : least_text;
}

/* The text above one panel alone takes all the width. */
static double text_width(const figure *f, const heatmap_panel *panel) {
    const double around = 2 * margin + label_width + axis_width;
    return f->map->n_panels == 1 ? f->width - around : panel_width(f, panel);
}

static const char *panel_text(const heatmap_panel *panel) {
    return panel->text != NULL ? panel->text : "token ids, as given";
}

static int has_headings(const heatmap *map) {
    return map->panels[0].persona != NULL;
}

/* Returns how high it is. With `draws` 0 it only measures. */
static double put_caption(const figure *f, double y, int draws) {
    const plens_model_info *info = &f->map->s->info;
    char text[640];
    snprintf(
        text, sizeof text,
        "Layer l: the output of block l, read by the model's own final norm, its scale computed "
        "anew, and unembedding; layer %zu is the model's output. Columns: positions from 0; above "
        "them the token that follows, below them the token read. \xC2\xB7 is a token's space, "
        "\\xE3 a byte of a cut character. %s, %zu layers, %zu wide, "
        "vocabulary %zu; computed in %s by plens " PLENS_VERSION ".",
        info->n_layers, info->architecture, info->n_layers, info->d_model, info->vocab_size,
        heatmap_precision(f->map));
    const svg_place place = {margin, y, small_size, "start", soft};
    return caption_leading * (double)svg_paragraph(draws ? f->out : NULL, place, text,
                                                   f->width - 2 * margin, caption_leading, 8);
}

/* Everything's place if the positions take so many bands. */
static void lay_out(figure *f, size_t n_bands) {
    const double least_width = 560; /* of the legend */
    const heatmap *map = f->map;
    size_t n = longest(map);
    f->band_columns = (n + n_bands - 1) / n_bands;
    f->n_bands = (n + f->band_columns - 1) / f->band_columns;
    double width = 2 * margin + label_width - panel_gap;
    for (size_t i = 0; i < map->n_panels; i++)
        width += axis_width + panel_width(f, &map->panels[i]) + panel_gap;
    f->width = width > least_width ? width : least_width;
    f->n_prompt_lines = 0;
    for (size_t i = 0; i < map->n_panels; i++) {
        const svg_place place = {0, 0, small_size, "start", plain};
        size_t lines = svg_paragraph(NULL, place, panel_text(&map->panels[i]),
                                     text_width(f, &map->panels[i]), leading, 4);
        f->n_prompt_lines = lines > f->n_prompt_lines ? lines : f->n_prompt_lines;
    }
    f->grid_top =
        margin + (has_headings(map) ? 50 : 34) + (double)f->n_prompt_lines * leading + row_height;
    f->band_height = grid_height(f) + 3 * row_height + band_gap;
    f->legend =
        f->grid_top + (double)(f->n_bands - 1) * f->band_height + grid_height(f) + row_height + 20;
    f->caption = f->legend + 36;
    f->height = f->caption + put_caption(f, f->caption, 0);
}

/* Cuts the positions into as few bands as leave the letters 5 points high where the figure fills an
 * A4 page between its margins; if none do, into those that leave them largest. */
static void measure(figure *f) {
    const double page_width = 160, page_height = 230, enough = 5 * 25.4 / 72 / text_size; /* mm */
    double best = 0;
    size_t best_bands = 1, n = longest(f->map);
    f->cell_width = find_cell_width(f);
    for (size_t n_bands = 1; n_bands <= n && best < enough; n_bands++) {
        lay_out(f, n_bands);
        double across = page_width / f->width, down = page_height / f->height;
        double scale = across < down ? across : down;
        if (scale > best) {
            best = scale;
            best_bands = n_bands;
        }
    }
    lay_out(f, best_bands);
}

/* ---- Pieces ---- */

static void put_plain(const figure *f, double x, double y, double size, const char *anchor,
                      const char *attributes, const char *text) {
    const svg_place place = {x, y, size, anchor, attributes};
    svg_line(f->out, &place, text_cell_of(text, strlen(text), 0), f->width);
}

static void put_number(const figure *f, double x, double y, double size, const char *anchor,
                       size_t number) {
    char text[24];
    snprintf(text, sizeof text, "%zu", number);
    put_plain(f, x, y, size, anchor, soft, text);
}

/* A token in the middle of a cell whose upper left corner is x, y. */
static void put_token(const figure *f, double x, double y, int32_t id, const char *attributes) {
    char name[16];
    const svg_place place = {x + (f->cell_width - 1) / 2, y + row_height - 5.5, text_size, "middle",
                             attributes};
    svg_line(f->out, &place, signs_of(f, id, name), f->cell_width - 3);
}

static void put_corner(const figure *f, double x, double y, const char *fill) {
    output_format(f->out, "<path d=\"M%.1f %.1fh6l-6 6z\" fill=\"%s\"/>\n", x, y, fill);
}

static void put_cell(const figure *f, const heatmap_panel *panel, double x, double y,
                     size_t position, size_t layer) {
    const plens_lens_token *top = heatmap_tokens(f->map, panel, position, layer);
    colour c = palette_colour(f->colours, palette_step((double)top->prob));
    const char *ink = palette_ink(c).red == 0 ? "#000" : "#fff";
    char attributes[64];
    output_format(f->out,
                  "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
                  "fill=\"#%02x%02x%02x\"/>\n",
                  x, y, f->cell_width - 1, row_height - 1, c.red, c.green, c.blue);
    if (top->id == panel->final_ids[position - panel->first_position])
        put_corner(f, x, y, ink);
    snprintf(attributes, sizeof attributes, " fill=\"%s\"%s", ink,
             top->id == heatmap_next_id(panel, position) ? " text-decoration=\"underline\"" : "");
    put_token(f, x, y, top->id, attributes);
}

/* ---- A panel ---- */

static void put_heading(const figure *f, const heatmap_panel *panel, double x) {
    double y = margin + (has_headings(f->map) ? 46 : 30), width = text_width(f, panel);
    const svg_place heading = {x, y, 11, "start", bold},
                    text = {x, y + leading, small_size, "start", soft};
    if (panel->persona != NULL) {
        const char *title = panel->persona[0] != '\0' ? panel->persona : "without a persona";
        svg_line(f->out, &heading, text_cell_of(title, strlen(title), 0), width);
    }
    svg_paragraph(f->out, text, panel_text(panel), width, leading, 4);
}

/* A panel's positions [begin, end), counted from its first one, with their axes. The first cell's
 * corner is x, top. */
static void put_band(const figure *f, const heatmap_panel *panel, double x, double top,
                     size_t begin, size_t end) {
    double below = top + grid_height(f), width = f->cell_width;
    for (size_t row = 0; row < f->map->n_layers; row++) {
        size_t layer = heatmap_last_layer(f->map) - row;
        double y = top + (double)row * row_height;
        put_number(f, x - 5, y + row_height - 5, small_size, "end", layer);
        for (size_t i = begin; i < end; i++)
            put_cell(f, panel, x + (double)(i - begin) * width, y, panel->first_position + i,
                     layer);
    }
    for (size_t i = begin; i < end; i++) {
        size_t position = panel->first_position + i;
        double left = x + (double)(i - begin) * width;
        int32_t next = heatmap_next_id(panel, position);
        if (next >= 0)
            put_token(f, left, top - row_height, next, soft);
        put_token(f, left, below, panel->ids[position], plain);
        put_number(f, left + width / 2, below + row_height + 5, small_size, "middle", position);
    }
}

static void put_panel(const figure *f, const heatmap_panel *panel, double x) {
    put_heading(f, panel, x);
    for (size_t band = 0; band < f->n_bands; band++) {
        size_t begin = band_begin(f, panel, band), end = band_end(f, panel, band);
        if (begin < end)
            put_band(f, panel, x, f->grid_top + (double)band * f->band_height, begin, end);
    }
}

/* ---- Around the panels ---- */

/* Beside a band whose cells begin at `top`. */
static void put_frame_labels(const figure *f, double top) {
    double middle = top + grid_height(f) / 2, x = margin + 9;
    char rotated[96];
    snprintf(rotated, sizeof rotated, " fill=\"#444\" transform=\"rotate(-90 %.1f %.1f)\"", x,
             middle);
    put_plain(f, x, middle, small_size, "middle", rotated, "layer (resid_post)");
    put_plain(f, margin, top - 5, small_size, "start", soft, "next");
    put_plain(f, margin, top + grid_height(f) + row_height - 5, small_size, "start", soft, "read");
}

static void put_legend(const figure *f, double y) {
    const double x = margin, width = 150, height = 9;
    output_format(f->out, "<defs><linearGradient id=\"scale\">");
    for (int step = 0; step < PALETTE_STEPS; step += 5) {
        colour c = palette_colour(f->colours, step);
        output_format(f->out, "<stop offset=\"%g\" stop-color=\"#%02x%02x%02x\"/>", step / 100.0,
                      c.red, c.green, c.blue);
    }
    output_format(f->out,
                  "</linearGradient></defs>\n<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                  "height=\"%.1f\" fill=\"url(#scale)\"/>\n",
                  x, y, width, height);
    put_plain(f, x, y + height + 9, small_size, "start", soft, "0");
    put_plain(f, x + width / 2, y + height + 9, small_size, "middle", soft,
              "probability of the top token");
    put_plain(f, x + width, y + height + 9, small_size, "end", soft, "1");
    put_corner(f, x + width + 24, y + 1, "#000");
    put_plain(f, x + width + 34, y + 8, small_size, "start", soft,
              "the final answer: the last layer's top token at this position");
    put_plain(f, x + width + 24, y + height + 9, small_size, "start",
              " fill=\"#444\" text-decoration=\"underline\"", "token");
    put_plain(f, x + width + 50, y + height + 9, small_size, "start", soft,
              "what follows in the prompt");
}

static void put_start(const figure *f) {
    output_format(f->out,
                  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
                  "viewBox=\"0 0 %.0f %.0f\" xml:space=\"preserve\" role=\"img\" "
                  "font-family=\"Helvetica, Arial, "
                  "'Liberation Sans', 'Noto Sans', 'Noto Sans CJK JP', sans-serif\">\n<title>"
                  "Logit lens of ",
                  f->width, f->height, f->width, f->height);
    markup_text(f->out, f->map->title, NULL);
    output_format(f->out, "</title>\n<desc>A heat map of layers by positions: the likeliest next "
                          "token in each cell, coloured by its probability.</desc>\n"
                          "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n");
}

static void put_title(const figure *f) {
    char *title = join("Logit lens of ", f->map->title, NULL);
    put_plain(f, margin, margin + 12, 13, "start", bold, title);
    free(title);
    put_plain(f, margin, margin + 25, small_size, "start", soft,
              "What every layer would say next, had it been the last, after each token that was "
              "read.");
}

void svg_write(output *out, const heatmap *map, palette colours) {
    figure f;
    memset(&f, 0, sizeof f);
    f.out = out;
    f.map = map;
    f.colours = colours;
    measure(&f);
    put_start(&f);
    put_title(&f);
    double x = margin + label_width + axis_width;
    for (size_t i = 0; i < map->n_panels; i++) {
        put_panel(&f, &map->panels[i], x);
        x += panel_width(&f, &map->panels[i]) + panel_gap + axis_width;
    }
    for (size_t band = 0; band < f.n_bands; band++)
        put_frame_labels(&f, f.grid_top + (double)band * f.band_height);
    put_legend(&f, f.legend);
    put_caption(&f, f.caption, 1);
    output_format(out, "</svg>\n");
}
