#include "tests/harness/lens_options.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/message.h"
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
    "  --point P      whose lens: resid_post, the residual stream (the default); attn_out, "
    "mlp_out\n"
    "                 or head_out: what this component of each layer adds to every logit, the\n"
    "                 tokens with the largest share first: part, layer, head, rank, token_id,\n"
    "                 token, share, norm (see --attribution)\n"
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
    "  --target-text S  the same of any text's first token (a leading space counts)\n"
    "  --target-ids . the same of tokens 1,2,3\n"
    "  --groups F     prob of groups of tokens, added up: F is a TSV with the column group and "
    "one\n"
    "                 of the columns token (its text), id, and text (any; its first token counts)\n"
    "  --settled      the last layer's top token, first_layer at which it is the top, and\n"
    "                 stable_layer, from which on it stays the top\n"
    "  --attribution S  what each component adds to the logit of the token with this text: part,\n"
    "                 layer, head (NA where there is none), share, norm. The norm is frozen: all\n"
    "                 parts are scaled as the last state is, so that embed, attn_out and mlp_out\n"
    "                 sum to the logit. (The lens of resid_post norms each layer's state anew.)\n"
    "  --against S    to its logit minus that of this token\n"
    "  --attribution-ids A[,B]  the same by ids\n"
    "  --heads        also each head, and o_proj's bias: together they are attn_out\n"
    "\n"
    "Pictures, a panel for each prompt side by side (and then no TSV):\n"
    "  --html F       writes a page to look at: point at a cell, or use the arrow keys\n"
    "  --svg F        writes a figure for a paper, a long prompt in bands\n"
    "  --palette P    blue-red; blue-yellow, for colour-blind eyes; grey, for printing (blue-red)\n"
    "  --title S      whose lens it is (the model folder's name)\n"
    "\n" COMMON_USAGE;

static const option_choice color_choices[] = {
    {"auto", COLOR_AUTO}, {"always", COLOR_ALWAYS}, {"never", COLOR_NEVER}, {NULL, 0}};

static const option_choice point_choices[] = {{"resid_post", 0},
                                              {"attn_out", PLENS_ATTN_OUT},
                                              {"mlp_out", PLENS_MLP_OUT},
                                              {"head_out", PLENS_HEAD_OUT},
                                              {NULL, 0}};

static int read_options(lens_options *o, int argc, char **argv) {
    const option options[] = {
        {"--text", OPTION_TEXTS, &o->texts, NULL},
        {"--persona", OPTION_TEXTS, &o->personas, NULL},
        {"--ids", OPTION_TEXTS, &o->ids, NULL},
        {"--positions", OPTION_TEXT, &o->positions, NULL},
        {"--layers", OPTION_TEXT, &o->layers, NULL},
        {"--point", OPTION_CHOICE, &o->point, point_choices},
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
        {"--target-text", OPTION_TEXTS, &o->target_texts, NULL},
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

int lens_wants_picture(const lens_options *o) {
    return o->html != NULL || o->svg != NULL;
}

/* ---- tables in place of the top tokens ---- */

int lens_wants_targets(const lens_options *o) {
    return o->targets.count + o->target_texts.count > 0 || o->target_ids != NULL;
}

int lens_wants_attribution(const lens_options *o) {
    return o->attribution != NULL || o->attribution_ids != NULL;
}

static int n_reports(const lens_options *o) {
    return lens_wants_targets(o) + (o->groups != NULL) + o->settled + lens_wants_attribution(o);
}

int lens_wants_report(const lens_options *o) {
    return o->point != 0 || n_reports(o) > 0;
}

/* What is made of probabilities; a component's lens has shares of logits. */
static int needs_probabilities(const lens_options *o) {
    return o->groups != NULL || o->settled || o->entropy || o->kl || o->view ||
           lens_wants_picture(o);
}

static int check_reports(const lens_options *o) {
    int n = n_reports(o);
    if (o->point != 0 && (needs_probabilities(o) || lens_wants_attribution(o)))
        return fail_usage("lens", "--point attn_out, mlp_out and head_out give shares of logits, "
                                  "no probabilities: they go with --target, but with no other "
                                  "table, column or picture");
    if (n > 1)
        return fail_usage("lens", "prints one table: --target, --groups, --settled or "
                                  "--attribution");
    if (n > 0 && (lens_wants_picture(o) || o->view))
        return fail_usage("lens", "--target, --groups, --settled and --attribution are neither "
                                  "drawn nor viewed");
    if (o->entropy + o->kl > 0 && (n > 0 || lens_wants_picture(o) || o->view))
        return fail_usage("lens", "--entropy and --kl are columns of the table of top tokens");
    if (o->layers != NULL && (o->settled || lens_wants_attribution(o)))
        return fail_usage("lens", "--settled and --attribution take all layers, without --layers");
    if (o->attribution != NULL && o->attribution_ids != NULL)
        return fail_usage("lens", "takes either --attribution or --attribution-ids");
    if (o->against != NULL && o->attribution == NULL)
        return fail_usage("lens", "--against needs --attribution");
    if (o->heads && !lens_wants_attribution(o))
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
        o->positions = lens_wants_picture(o) ? "all" : "last";
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
        o->top_k = lens_wants_picture(o) ? 10 : 5;
    if (!lens_wants_picture(o) && !lens_wants_report(o) && o->entropy + o->kl == 0 &&
        system_is_terminal(stdout))
        o->view = 1;
    return EXIT_DONE;
}

int lens_options_read(lens_options *o, int argc, char **argv) {
    memset(o, 0, sizeof *o);
    int code = read_options(o, argc, argv);
    if (code != OPTIONS_READ)
        return code;
    code = check_options(o);
    return code == EXIT_DONE ? OPTIONS_READ : code;
}

void lens_options_free(lens_options *o) {
    free(o->texts.items);
    free(o->personas.items);
    free(o->ids.items);
    free(o->targets.items);
    free(o->target_texts.items);
}
