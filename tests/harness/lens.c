/* plens lens: what every layer would say next, as TSV, as a table for people or as a picture. */
#include "tests/harness/commands.h"

#include <stdlib.h>
#include <string.h>

#include "tests/harness/heatmap.h"
#include "tests/harness/html.h"
#include "tests/harness/lens_tables.h"
#include "tests/harness/output.h"
#include "tests/harness/session.h"
#include "tests/harness/svg.h"
#include "tests/harness/system.h"

static const char usage[] =
    "usage: plens lens --model DIR (--text S | --ids 1,2,3) [--positions last|all] [--top-k K]\n"
    "                  [--persona S ...] [--html F] [--svg F]\n"
    "\n"
    "Prints the logit lens of every layer as TSV: position (from 0), layer (the output of block\n"
    "1 to L), rank (from 1), token_id, token, prob. Several prompts are numbered from 1, in the\n"
    "column prompt before the others.\n"
    "\n"
    "  --text S       the prompt; the tokenizer's special tokens are added. May be given several\n"
    "                 times, for several prompts\n"
    "  --persona S    asks each text as (S) TEXT; several personas are compared, \"\" is none\n"
    "  --ids ...      a prompt's token ids, as they are\n"
    "  --positions P  last: only after the whole prompt; last:8, the last eight; all; 3-9, "
    "counted\n"
    "                 from 0 (last; for pictures all)\n"
    "  --layers A-B   these layers (all)\n"
    "  --top-k K      how many tokens at each place (5; for pictures 10)\n"
    "  --view         a table for people instead, as on a terminal\n"
    "  --color WHEN   colours in it: auto, always or never (auto: on a terminal)\n"
    "\n"
    "Pictures, a panel for each prompt side by side (and then no TSV):\n"
    "  --html F       writes a page to look at: point at a cell, or use the arrow keys\n"
    "  --svg F        writes a figure for a paper\n"
    "  --palette P    blue-red; blue-yellow, for colour-blind eyes; grey, for printing (blue-red)\n"
    "  --title S      whose lens it is (the model folder's name)\n"
    "\n" COMMON_USAGE;

enum { COLOR_AUTO = 0, COLOR_ALWAYS = 1, COLOR_NEVER = 2 };

static const option_choice color_choices[] = {
    {"auto", COLOR_AUTO}, {"always", COLOR_ALWAYS}, {"never", COLOR_NEVER}, {NULL, 0}};

typedef struct lens_options {
    common_options common;
    option_texts texts, personas, ids;
    const char *positions, *layers, *title, *html, *svg;
    size_t top_k;
    int view, color, palette;
    position_range range;           /* read from positions */
    size_t first_layer, last_layer; /* and from layers; 0: all */
} lens_options;

static int read_options(lens_options *o, int argc, char **argv) {
    const option options[] = {
        {"--text", OPTION_TEXTS, &o->texts, NULL},
        {"--persona", OPTION_TEXTS, &o->personas, NULL},
        {"--ids", OPTION_TEXTS, &o->ids, NULL},
        {"--positions", OPTION_TEXT, &o->positions, NULL},
        {"--layers", OPTION_TEXT, &o->layers, NULL},
        {"--top-k", OPTION_COUNT, &o->top_k, NULL},
        {"--view", OPTION_FLAG, &o->view, NULL},
        {"--color", OPTION_CHOICE, &o->color, color_choices},
        {"--html", OPTION_TEXT, &o->html, NULL},
        {"--svg", OPTION_TEXT, &o->svg, NULL},
        {"--palette", OPTION_CHOICE, &o->palette, palette_choices},
        {"--title", OPTION_TEXT, &o->title, NULL},
        COMMON_OPTIONS(o->common),
    };
    return options_read("lens", usage, options, sizeof options / sizeof options[0], argc, argv);
}

static int wants_picture(const lens_options *o) {
    return o->html != NULL || o->svg != NULL;
}

/* Fills in what was not given, and says what cannot be. */
static int check_options(lens_options *o) {
    const prompt_options prompt = {o->texts.count > 0 ? o->texts.items[0] : NULL,
                                   o->ids.count > 0 ? o->ids.items[0] : NULL};
    int code = prompt_check("lens", &prompt);
    if (code != EXIT_DONE)
        return code;
    if (o->personas.count > 0 && o->texts.count == 0)
        return fail_usage("lens", "--persona needs --text");
    if (o->positions == NULL)
        o->positions = wants_picture(o) ? "all" : "last";
    if (!position_range_parse(o->positions, &o->range))
        return fail_usage("lens", "--positions takes last, last:N, all or A-B, found '%s'",
                          o->positions);
    if (o->layers != NULL && (!parse_range(o->layers, INT32_MAX, &o->first_layer, &o->last_layer) ||
                              o->first_layer == 0))
        return fail_usage("lens", "--layers takes A-B or A, layers from 1, found '%s'", o->layers);
    if (o->html != NULL && o->svg != NULL && strcmp(o->html, o->svg) == 0)
        return fail_usage("lens", "--html and --svg name the same file");
    if (o->top_k == 0)
        o->top_k = wants_picture(o) ? 10 : 5;
    if (!wants_picture(o) && system_is_terminal(stdout))
        o->view = 1;
    return EXIT_DONE;
}

/* Adds a panel for a text or a list of ids; the other is NULL. */
static int add_panel(heatmap *map, const lens_options *o, const char *persona, const char *text,
                     const char *list) {
    int32_t *ids = NULL;
    size_t n_ids;
    int has_persona = persona != NULL && persona[0] != '\0';
    char *full = text == NULL  ? NULL
                 : has_persona ? join("(", persona, ") ", text, NULL)
                               : join(text, NULL);
    const prompt_options prompt = {full, list};
    int code = prompt_make(map->s, &prompt, &ids, &n_ids);
    if (code == EXIT_DONE)
        return heatmap_add(map, persona, full, ids, n_ids, &o->range);
    free(full);
    free(ids);
    return code;
}

static int add_panels(heatmap *map, const lens_options *o) {
    int code = EXIT_DONE;
    for (size_t t = 0; t < o->texts.count && code == EXIT_DONE; t++) {
        if (o->personas.count == 0)
            code = add_panel(map, o, NULL, o->texts.items[t], NULL);
        for (size_t p = 0; p < o->personas.count && code == EXIT_DONE; p++)
            code = add_panel(map, o, o->personas.items[p], o->texts.items[t], NULL);
    }
    for (size_t i = 0; i < o->ids.count && code == EXIT_DONE; i++)
        code = add_panel(map, o, NULL, NULL, o->ids.items[i]);
    return code;
}

static int print(const heatmap *map, const lens_options *o) {
    output out;
    lens_colours colours = {(palette)o->palette, TERMINAL_PLAIN};
    if (o->color != COLOR_NEVER)
        colours.terminal = o->color == COLOR_ALWAYS ? terminal_could() : terminal_has(stdout);
    output_standard(&out);
    if (o->view)
        lens_view(&out, map, colours);
    else
        lens_tsv(&out, map);
    int code = output_finish(&out);
    output_discard(&out);
    return code;
}

/* Both pictures, or none of them under its name. They are opened before the run, so that it is not
 * in vain. */
static int draw(heatmap *map, const lens_options *o, output *html, output *svg) {
    int code = o->html == NULL ? EXIT_DONE : output_open(html, o->html);
    if (code == EXIT_DONE && o->svg != NULL)
        code = output_open(svg, o->svg);
    if (code == EXIT_DONE)
        code = heatmap_run(map);
    if (code == EXIT_DONE && o->html != NULL) {
        html_write(html, map, (palette)o->palette);
        code = output_finish(html);
    }
    if (code == EXIT_DONE && o->svg != NULL) {
        svg_write(svg, map, (palette)o->palette);
        code = output_finish(svg);
    }
    if (code == EXIT_DONE && o->html != NULL)
        code = output_publish(html);
    if (code == EXIT_DONE && o->svg != NULL)
        code = output_publish(svg);
    return code;
}

static int lens_of(session *s, const lens_options *o) {
    heatmap map;
    output html, svg;
    memset(&map, 0, sizeof map);
    memset(&html, 0, sizeof html);
    memset(&svg, 0, sizeof svg);
    map.s = s;
    map.title = o->title != NULL ? join(o->title, NULL) : heatmap_folder_name(s->options.model);
    map.top_k = o->top_k;
    map.first_layer = o->first_layer;
    map.n_layers = o->layers == NULL ? 0 : o->last_layer - o->first_layer + 1;
    int code = add_panels(&map, o);
    if (code == EXIT_DONE)
        code = draw(&map, o, &html, &svg);
    if (code == EXIT_DONE && (o->view || !wants_picture(o)))
        code = print(&map, o);
    output_discard(&html);
    output_discard(&svg);
    heatmap_free(&map);
    return code;
}

static int run(const lens_options *o) {
    session s;
    system_catch_signals();
    int code = session_open(&s, "lens", &o->common, SESSION_MODEL | SESSION_TOKENIZER_IF_ANY);
    if (code == EXIT_DONE)
        code = lens_of(&s, o);
    session_close(&s);
    return code;
}

int command_lens(int argc, char **argv) {
    lens_options o;
    memset(&o, 0, sizeof o);
    int code = read_options(&o, argc, argv);
    if (code == OPTIONS_READ) {
        code = check_options(&o);
        if (code == EXIT_DONE)
            code = run(&o);
    }
    free(o.texts.items);
    free(o.personas.items);
    free(o.ids.items);
    return code;
}
