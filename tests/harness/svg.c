#include "tests/harness/svg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/svg_text.h"

/* Sizes in pixels. */
static const double margin = 12, text_size = 10, small_size = 8.5, row_height = 17, axis_width = 24,
                    label_width = 14, panel_gap = 22, leading = 12, least_cell = 26, most_cell = 62;

static const char bold[] = " font-weight=\"bold\"", soft[] = " fill=\"#444\"", plain[] = "";

typedef struct figure {
    output *out;
    const heatmap *map;
    palette colours;
    double cell_width;
    size_t n_prompt_lines; /* of the longest prompt */
    double width, grid_top;
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

static double panel_width(const figure *f, const heatmap_panel *panel) {
    return axis_width + (double)panel->n_positions * f->cell_width;
}

static double grid_height(const figure *f) {
    return (double)f->map->n_layers * row_height;
}

static const char *panel_text(const heatmap_panel *panel) {
    return panel->text != NULL ? panel->text : "token ids, as given";
}

static void measure(figure *f) {
    const double least_width = 560; /* of the legend */
    f->cell_width = find_cell_width(f);
    f->width = 2 * margin + label_width - panel_gap;
    for (size_t i = 0; i < f->map->n_panels; i++) {
        const heatmap_panel *panel = &f->map->panels[i];
        const svg_place place = {0, 0, small_size, "start", plain};
        size_t n = svg_paragraph(NULL, place, panel_text(panel), panel_width(f, panel) - axis_width,
                                 leading, 4);
        f->n_prompt_lines = n > f->n_prompt_lines ? n : f->n_prompt_lines;
        f->width += panel_width(f, panel) + panel_gap;
    }
    f->width = f->width > least_width ? f->width : least_width;
    f->grid_top = margin + 36 + (double)f->n_prompt_lines * leading + row_height;
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
    double y = margin + 32, width = panel_width(f, panel) - axis_width;
    x += axis_width;
    const svg_place heading = {x, y, 11, "start", bold},
                    text = {x, y + leading, small_size, "start", soft};
    if (panel->persona != NULL) {
        const char *title = panel->persona[0] != '\0' ? panel->persona : "without a persona";
        svg_line(f->out, &heading, text_cell_of(title, strlen(title), 0), width);
    }
    svg_paragraph(f->out, text, panel_text(panel), width, leading, 4);
}

static void put_axes(const figure *f, const heatmap_panel *panel, double x) {
    double below = f->grid_top + grid_height(f), left = x + axis_width;
    for (size_t i = 0; i < f->map->n_layers; i++)
        put_number(f, left - 5, f->grid_top + (double)(i + 1) * row_height - 5, small_size, "end",
                   heatmap_last_layer(f->map) - i);
    for (size_t i = 0; i < panel->n_positions; i++) {
        size_t position = panel->first_position + i;
        double at = left + (double)i * f->cell_width;
        int32_t next = heatmap_next_id(panel, position);
        if (next >= 0)
            put_token(f, at, f->grid_top - row_height, next, soft);
        put_token(f, at, below, panel->ids[position], plain);
        put_number(f, at + f->cell_width / 2, below + row_height + 5, small_size, "middle",
                   position);
    }
}

static void put_panel(const figure *f, const heatmap_panel *panel, double x) {
    put_heading(f, panel, x);
    put_axes(f, panel, x);
    for (size_t row = 0; row < f->map->n_layers; row++) {
        for (size_t i = 0; i < panel->n_positions; i++)
            put_cell(f, panel, x + axis_width + (double)i * f->cell_width,
                     f->grid_top + (double)row * row_height, panel->first_position + i,
                     heatmap_last_layer(f->map) - row);
    }
}

/* ---- Around the panels ---- */

static void put_frame_labels(const figure *f) {
    double middle = f->grid_top + grid_height(f) / 2, x = margin + 9;
    char rotated[96];
    snprintf(rotated, sizeof rotated, " fill=\"#444\" transform=\"rotate(-90 %.1f %.1f)\"", x,
             middle);
    put_plain(f, x, middle, small_size, "middle", rotated, "layer (resid_post)");
    put_plain(f, margin, f->grid_top - 5, small_size, "start", soft, "next");
    put_plain(f, margin, f->grid_top + grid_height(f) + row_height - 5, small_size, "start", soft,
              "read");
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

static const double caption_leading = 11;

/* Returns how high it is. With `draws` 0 it only measures. */
static double put_caption(const figure *f, double y, int draws) {
    const plens_model_info *info = &f->map->s->info;
    char text[640];
    snprintf(
        text, sizeof text,
        "Layer l: softmax of the unembedded final norm of the output of block l, its scale "
        "computed anew; layer %zu is the model's output. Columns: positions from 0; above them "
        "the token that follows, below them the token read. %s, %zu layers, %zu wide, "
        "vocabulary %zu; computed in %s by plens " PLENS_VERSION ".",
        info->n_layers, info->architecture, info->n_layers, info->d_model, info->vocab_size,
        heatmap_precision(f->map));
    const svg_place place = {margin, y, small_size, "start", soft};
    return caption_leading * (double)svg_paragraph(draws ? f->out : NULL, place, text,
                                                   f->width - 2 * margin, caption_leading, 8);
}

static void put_start(const figure *f, double height) {
    output_format(f->out,
                  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
                  "viewBox=\"0 0 %.0f %.0f\" xml:space=\"preserve\" role=\"img\" "
                  "font-family=\"Helvetica, Arial, "
                  "'Liberation Sans', 'Noto Sans', 'Noto Sans CJK JP', sans-serif\">\n<title>"
                  "Logit lens of ",
                  f->width, height, f->width, height);
    markup_text(f->out, f->map->title, NULL);
    output_format(f->out, "</title>\n<desc>A heat map of layers by positions: the likeliest next "
                          "token in each cell, coloured by its probability.</desc>\n"
                          "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n");
}

void svg_write(output *out, const heatmap *map, palette colours) {
    figure f = {out, map, colours, 0, 0, 0, 0};
    measure(&f);
    double legend = f.grid_top + grid_height(&f) + row_height + 20;
    double caption = legend + 36;
    put_start(&f, caption + put_caption(&f, caption, 0));
    char *title = join("Logit lens of ", map->title, NULL);
    put_plain(&f, margin, margin + 12, 13, "start", bold, title);
    free(title);
    double x = margin + label_width;
    for (size_t i = 0; i < map->n_panels; i++) {
        put_panel(&f, &map->panels[i], x);
        x += panel_width(&f, &map->panels[i]) + panel_gap;
    }
    put_frame_labels(&f);
    put_legend(&f, legend);
    put_caption(&f, caption, 1);
    output_format(out, "</svg>\n");
}
