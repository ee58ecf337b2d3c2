/* plens lens: what every layer would say next, as TSV, as a table for people or as a picture. */
#include "tests/harness/commands.h"

#include <stdlib.h>
#include <string.h>

#include "tests/harness/heatmap.h"
#include "tests/harness/html.h"
#include "tests/harness/lens_reports.h"
#include "tests/harness/lens_tables.h"
#include "tests/harness/output.h"
#include "tests/harness/session.h"
#include "tests/harness/svg.h"
#include "tests/harness/system.h"
#include "tests/harness/token_option.h"

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
    "  --entropy      a last column: the entropy of the layer's distribution, in nats\n"
    "  --kl           a last column: KL(last layer || this layer), in nats\n"
    "\n"
    "Other tables, in place of this one (position, and layer, as above):\n"
    "  --target S     how the token with this text fares (\" Paris\"; may be given several "
    "times):\n"
    "                 token_id, token, rank (from 1), prob, logit\n"
    "  --target-ids . the same of tokens 1,2,3\n"
    "  --groups F     prob of groups of tokens, added up: F is a TSV with the column group and "
    "one\n"
    "                 of the columns token (its text), id, and text (any; its first token counts)\n"
    "  --settled      the last layer's top token, first_layer at which it is the top, and\n"
    "                 stable_layer, from which on it stays the top\n"
    "  --attribution S  what each component adds to the logit of the token with this text: part,\n"
    "                 layer, head, share. The final norm is frozen: all parts are scaled as the\n"
    "                 last state is, so that embed, attn_out and mlp_out sum to the logit. (The\n"
    "                 lens norms each layer's state anew.)\n"
    "  --against S    to its logit minus that of this token\n"
    "  --attribution-ids A[,B]  the same by ids\n"
    "  --heads        also each head, and o_proj's bias: together they are attn_out\n"
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
    option_texts texts, personas, ids, targets;
    const char *positions, *layers, *title, *html, *svg;
    const char *target_ids, *groups, *attribution, *attribution_ids, *against;
    int entropy, kl, settled, heads;
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
        {"--entropy", OPTION_FLAG, &o->entropy, NULL},
        {"--kl", OPTION_FLAG, &o->kl, NULL},
        {"--target", OPTION_TEXTS, &o->targets, NULL},
        {"--target-ids", OPTION_TEXT, &o->target_ids, NULL},
        {"--groups", OPTION_TEXT, &o->groups, NULL},
        {"--settled", OPTION_FLAG, &o->settled, NULL},
        {"--attribution", OPTION_TEXT, &o->attribution, NULL},
        {"--attribution-ids", OPTION_TEXT, &o->attribution_ids, NULL},
        {"--against", OPTION_TEXT, &o->against, NULL},
        {"--heads", OPTION_FLAG, &o->heads, NULL},
        COMMON_OPTIONS(o->common),
    };
    return options_read("lens", usage, options, sizeof options / sizeof options[0], argc, argv);
}

static int wants_picture(const lens_options *o) {
    return o->html != NULL || o->svg != NULL;
}

/* ---- tables in place of the top tokens ---- */

static int wants_targets(const lens_options *o) {
    return o->targets.count > 0 || o->target_ids != NULL;
}

static int wants_attribution(const lens_options *o) {
    return o->attribution != NULL || o->attribution_ids != NULL;
}

static int n_reports(const lens_options *o) {
    return wants_targets(o) + (o->groups != NULL) + o->settled + wants_attribution(o);
}

static int check_reports(const lens_options *o) {
    int n = n_reports(o);
    if (n > 1)
        return fail_usage("lens", "prints one table: --target, --groups, --settled or "
                                  "--attribution");
    if (n > 0 && (wants_picture(o) || o->view))
        return fail_usage("lens", "--target, --groups, --settled and --attribution are neither "
                                  "drawn nor viewed");
    if (o->entropy + o->kl > 0 && (n > 0 || wants_picture(o) || o->view))
        return fail_usage("lens", "--entropy and --kl are columns of the table of top tokens");
    if (o->layers != NULL && (o->settled || wants_attribution(o)))
        return fail_usage("lens", "--settled and --attribution take all layers, without --layers");
    if (o->attribution != NULL && o->attribution_ids != NULL)
        return fail_usage("lens", "takes either --attribution or --attribution-ids");
    if (o->against != NULL && o->attribution == NULL)
        return fail_usage("lens", "--against needs --attribution");
    if (o->heads && !wants_attribution(o))
        return fail_usage("lens", "--heads needs --attribution");
    return EXIT_DONE;
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
    code = check_reports(o);
    if (code != EXIT_DONE)
        return code;
    if (o->top_k == 0)
        o->top_k = wants_picture(o) ? 10 : 5;
    if (!wants_picture(o) && n_reports(o) + o->entropy + o->kl == 0 && system_is_terminal(stdout))
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
        lens_tsv(&out, map, (lens_columns){o->entropy, o->kl});
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

static int find_targets(session *s, const lens_options *o, int32_t **ids, size_t *n_ids) {
    int code = EXIT_DONE;
    if (o->target_ids != NULL)
        code = token_list(s, "--target-ids", o->target_ids, ids, n_ids);
    if (code == EXIT_DONE)
        *ids = reallocate(*ids, *n_ids + o->targets.count, sizeof **ids);
    for (size_t i = 0; i < o->targets.count && code == EXIT_DONE; i++)
        code = token_find(s, "--target", o->targets.items[i], &(*ids)[(*n_ids)++]);
    return code;
}

/* The token to explain, and the one that it is set against, if any. */
static int find_explained(session *s, const lens_options *o, int32_t **ids, size_t *n_ids) {
    if (o->attribution_ids != NULL) {
        int code = token_list(s, "--attribution-ids", o->attribution_ids, ids, n_ids);
        return code != EXIT_DONE || *n_ids <= 2
                   ? code
                   : fail_input("--attribution-ids: expected one token or two, found %zu", *n_ids);
    }
    *ids = allocate(2, sizeof **ids);
    *n_ids = o->against == NULL ? 1 : 2;
    int code = token_find(s, "--attribution", o->attribution, *ids);
    if (code == EXIT_DONE && o->against != NULL)
        code = token_find(s, "--against", o->against, *ids + 1);
    return code;
}

/* The lens of the map's targets or groups, or the attribution of the tokens [n_ids]. */
static int print_report(heatmap *map, const lens_options *o, const groups *g, const int32_t *ids,
                        size_t n_ids) {
    output out;
    int code = wants_attribution(o) ? EXIT_DONE : heatmap_run(map);
    output_standard(&out);
    if (wants_attribution(o) && !map->s->options.quiet)
        say("shares of a logit, the final norm frozen at the last state's scale (the lens itself "
            "norms each state anew)");
    if (code == EXIT_DONE && wants_attribution(o))
        code = lens_attribution_tsv(&out, map, ids, n_ids, o->heads);
    else if (code == EXIT_DONE && o->groups != NULL)
        lens_groups_tsv(&out, map, g);
    else if (code == EXIT_DONE && o->settled)
        lens_settled_tsv(&out, map);
    else if (code == EXIT_DONE)
        lens_targets_tsv(&out, map);
    if (code == EXIT_DONE)
        code = output_finish(&out);
    output_discard(&out);
    return code;
}

static int report(heatmap *map, const lens_options *o) {
    groups g = {0};
    int32_t *ids = NULL;
    size_t n_ids = 0;
    int code = EXIT_DONE;
    if (wants_attribution(o))
        code = find_explained(map->s, o, &ids, &n_ids);
    else if (wants_targets(o))
        code = find_targets(map->s, o, &ids, &n_ids);
    else if (o->groups != NULL)
        code = groups_read(map->s, o->groups, &g);
    map->top_k = 1;
    map->targets = ids;
    map->n_targets = n_ids;
    map->groups = g.items;
    map->n_groups = g.n_groups;
    if (code == EXIT_DONE)
        code = print_report(map, o, &g, ids, n_ids);
    groups_free(&g);
    free(ids);
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
    map.wants_kl = o->kl;
    int code = add_panels(&map, o);
    if (code == EXIT_DONE && n_reports(o) > 0)
        code = report(&map, o);
    else if (code == EXIT_DONE)
        code = draw(&map, o, &html, &svg);
    if (code == EXIT_DONE && n_reports(o) == 0 && (o->view || !wants_picture(o)))
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
    free(o.targets.items);
    return code;
}
