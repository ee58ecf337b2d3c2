/* plens lens: what every layer would say next, as TSV, as a table for people or as a picture. */
#include "tests/harness/commands.h"

#include <stdlib.h>
#include <string.h>

#include "tests/harness/heatmap.h"
#include "tests/harness/html.h"
#include "tests/harness/lens_options.h"
#include "tests/harness/lens_reports.h"
#include "tests/harness/lens_tables.h"
#include "tests/harness/output.h"
#include "tests/harness/session.h"
#include "tests/harness/svg.h"
#include "tests/harness/system.h"
#include "tests/harness/token_option.h"

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

/* Appends the first token of a text to ids, and says so if there is more of it. */
static int add_first_token(session *s, const char *text, int32_t *id) {
    size_t n = 0;
    int code = token_first(s, "--target-text", text, id, &n);
    if (code == EXIT_DONE && n > 1 && !s->options.quiet)
        say("--target-text '%s': %zu tokens, the first, id %ld, stands for them", text, n,
            (long)*id);
    return code;
}

static int find_targets(session *s, const lens_options *o, int32_t **ids, size_t *n_ids) {
    int code = EXIT_DONE;
    if (o->target_ids != NULL)
        code = token_list(s, "--target-ids", o->target_ids, ids, n_ids);
    if (code == EXIT_DONE)
        *ids = reallocate(*ids, *n_ids + o->targets.count + o->target_texts.count, sizeof **ids);
    for (size_t i = 0; i < o->targets.count && code == EXIT_DONE; i++)
        code = token_find(s, "--target", o->targets.items[i], &(*ids)[(*n_ids)++]);
    for (size_t i = 0; i < o->target_texts.count && code == EXIT_DONE; i++)
        code = add_first_token(s, o->target_texts.items[i], &(*ids)[(*n_ids)++]);
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

/* Which of the two lenses it is. */
static void say_frozen(const heatmap *map) {
    if (!map->s->options.quiet)
        say("shares of logits: direct logit attribution, the final norm frozen at the last state's "
            "scale (the lens of resid_post norms each state anew)");
}

/* The lens of the map's component, targets or groups, or the attribution of the tokens [n_ids]. */
static int print_report(heatmap *map, const lens_options *o, const groups *g, const int32_t *ids,
                        size_t n_ids) {
    output out;
    int code = lens_wants_attribution(o) ? EXIT_DONE : heatmap_run(map);
    output_standard(&out);
    if (o->point != 0 || lens_wants_attribution(o))
        say_frozen(map);
    if (code == EXIT_DONE && lens_wants_attribution(o))
        code = lens_attribution_tsv(&out, map, ids, n_ids, o->heads);
    else if (code == EXIT_DONE && o->point != 0)
        lens_components_tsv(&out, map);
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
    if (lens_wants_attribution(o))
        code = find_explained(map->s, o, &ids, &n_ids);
    else if (lens_wants_targets(o))
        code = find_targets(map->s, o, &ids, &n_ids);
    else if (o->groups != NULL)
        code = groups_read(map->s, o->groups, &g);
    map->point = (plens_point)o->point;
    if (n_ids > 0 || o->point == 0)
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
    if (code == EXIT_DONE && lens_wants_report(o))
        code = report(&map, o);
    else if (code == EXIT_DONE)
        code = draw(&map, o, &html, &svg);
    if (code == EXIT_DONE && !lens_wants_report(o) && (o->view || !lens_wants_picture(o)))
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
    int code = lens_options_read(&o, argc, argv);
    if (code == OPTIONS_READ)
        code = run(&o);
    lens_options_free(&o);
    return code;
}
