/* plens lens: what every layer would say next, as TSV or as a table for people. */
#include "tests/harness/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/output.h"
#include "tests/harness/session.h"
#include "tests/harness/system.h"
#include "tests/harness/view.h"

static const char usage[] =
    "usage: plens lens --model DIR (--text S | --ids 1,2,3) [--positions last|all] [--top-k K]\n"
    "\n"
    "Prints the logit lens of every layer as TSV: position (from 0), layer (the output of block\n"
    "1 to L), rank (from 1), token_id, token, prob.\n"
    "\n"
    "  --text S       the prompt; the tokenizer's special tokens are added\n"
    "  --ids ...      the prompt's token ids, as they are\n"
    "  --positions P  last: only after the whole prompt (the default); all\n"
    "  --top-k K      how many tokens at each place (5)\n"
    "  --view         a table for people instead, as on a terminal\n"
    "\n" COMMON_USAGE;

static const option_choice positions_choices[] = {
    {"last", PLENS_POSITIONS_LAST}, {"all", PLENS_POSITIONS_ALL}, {NULL, 0}};

/* The lens of one prompt: tokens [n_positions, n_layers, top_k], layers from 1. */
typedef struct lens_result {
    const int32_t *ids; /* [first_position + n_positions] */
    size_t first_position, n_positions, n_layers, top_k;
    plens_lens_token *tokens;
    size_t bad_position, bad_layer; /* bad_layer 0: every number was finite */
} lens_result;

static plens_lens_token *tokens_at(const lens_result *r, size_t position, size_t layer) {
    return r->tokens + ((position - r->first_position) * r->n_layers + layer - 1) * r->top_k;
}

/* A plens_lens_fn. */
static int keep(void *user, const plens_lens_result *found) {
    lens_result *r = user;
    if (!found->finite) {
        r->bad_position = found->position;
        r->bad_layer = found->layer;
        return 1;
    }
    memcpy(tokens_at(r, found->position, found->layer), found->top, r->top_k * sizeof *found->top);
    return 0;
}

/* Columns: position, layer, rank, token_id, token, prob. */
static void print_tsv(output *out, const session *s, const lens_result *r) {
    output_format(out, "position\tlayer\trank\ttoken_id\ttoken\tprob\n");
    for (size_t i = 0; i < r->n_positions * r->n_layers * r->top_k; i++) {
        size_t rank = i % r->top_k + 1, layer = i / r->top_k % r->n_layers + 1;
        size_t position = r->first_position + i / r->top_k / r->n_layers;
        output_format(out, "%zu\t%zu\t%zu\t%ld\t", position, layer, rank, (long)r->tokens[i].id);
        output_token(out, s->tokenizer, r->tokens[i].id);
        output_format(out, "\t%.9g\n", (double)r->tokens[i].prob);
    }
}

/* One row of the table: the layers' words, at one position in the order of their rank, at several
 * positions the top one of each. */
static void add_layer(view *v, const session *s, const lens_result *r, size_t layer) {
    size_t n_places = r->n_positions > 1 ? r->n_positions : r->top_k;
    view_add(v, layer == r->n_layers ? "layer %zu (output)" : "layer %zu", layer);
    for (size_t i = 0; i < n_places; i++) {
        const plens_lens_token *token = r->n_positions > 1
                                            ? tokens_at(r, r->first_position + i, layer)
                                            : tokens_at(r, r->first_position, layer) + i;
        view_add_token(v, s->tokenizer, token->id);
        view_add(v, "%.0f", 100 * (double)token->prob);
    }
}

/* Layers downwards, the last on top; across the positions (or ranks, if there is one position). */
static void print_view(output *out, const session *s, const lens_result *r) {
    size_t n_places = r->n_positions > 1 ? r->n_positions : r->top_k;
    view v = {NULL, 1 + 2 * n_places, NULL, 0};
    view_column *columns = allocate(v.n_columns, sizeof *columns);
    for (size_t c = 1; c < v.n_columns; c++) {
        columns[c].right = c % 2 == 0;
        columns[c].gap = c % 2 == 0 ? 1 : 3;
    }
    v.columns = columns;
    if (r->n_positions > 1) {
        output_format(out, "Across: the text as read, token by token. In each column: the token "
                           "that every layer\nwould put next, and its probability in %%. The last "
                           "layer is what the model says.\n\n");
        view_add(&v, "read");
    } else {
        output_format(out,
                      "After position %zu, the tokens that every layer would put next, the "
                      "likeliest first,\nwith their probability in %%. The last layer is what "
                      "the model says.\n\n",
                      r->first_position);
        view_add(&v, "rank");
    }
    for (size_t i = 0; i < n_places; i++) {
        if (r->n_positions > 1)
            view_add_token(&v, s->tokenizer, r->ids[r->first_position + i]);
        else
            view_add(&v, "%zu", i + 1);
        view_add(&v, "%%");
    }
    for (size_t layer = r->n_layers; layer >= 1; layer--)
        add_layer(&v, s, r, layer);
    view_print(&v, out, view_width(), 1, 2);
    free(columns);
}

static int run_lens(session *s, lens_result *r, plens_positions positions, size_t n_ids) {
    plens_error error;
    plens_lens lens;
    plens_run_options options;
    const plens_prompt prompt = {r->ids, n_ids, NULL, 0};
    memset(&lens, 0, sizeof lens);
    memset(&options, 0, sizeof options);
    lens.fn = keep;
    lens.user = r;
    lens.positions = positions;
    lens.top_k = r->top_k;
    options.lens = &lens;
    plens_status status = session_run(s, &prompt, 1, &options, NULL, &error);
    if (r->bad_layer != 0)
        return fail_input("position %zu, layer %zu: the logits are infinite or not numbers",
                          r->bad_position, r->bad_layer);
    return status != PLENS_OK ? fail_error(&error) : EXIT_DONE;
}

static int lens_of(session *s, const int32_t *ids, size_t n_ids, plens_positions positions,
                   size_t top_k, int for_people) {
    lens_result r;
    memset(&r, 0, sizeof r);
    r.ids = ids;
    r.n_positions = positions == PLENS_POSITIONS_LAST ? 1 : n_ids;
    r.first_position = n_ids - r.n_positions;
    r.n_layers = s->info.n_layers;
    r.top_k = top_k < s->info.vocab_size ? top_k : s->info.vocab_size;
    r.tokens = allocate(r.n_positions * r.n_layers * r.top_k, sizeof *r.tokens);
    int code = run_lens(s, &r, positions, n_ids);
    if (code == EXIT_DONE) {
        output out;
        output_standard(&out);
        if (for_people)
            print_view(&out, s, &r);
        else
            print_tsv(&out, s, &r);
        code = output_finish(&out);
        output_discard(&out);
    }
    free(r.tokens);
    return code;
}

int command_lens(int argc, char **argv) {
    common_options common = {0};
    prompt_options prompt = {0};
    int positions = PLENS_POSITIONS_LAST, for_people = system_is_terminal(stdout);
    size_t top_k = 5;
    const option options[] = {
        PROMPT_OPTIONS(prompt),
        {"--positions", OPTION_CHOICE, &positions, positions_choices},
        {"--top-k", OPTION_COUNT, &top_k, NULL},
        {"--view", OPTION_FLAG, &for_people, NULL},
        {"--html", OPTION_LATER, NULL, NULL},
        {"--svg", OPTION_LATER, NULL, NULL},
        COMMON_OPTIONS(common),
    };
    int code = options_read("lens", usage, options, sizeof options / sizeof options[0], argc, argv);
    if (code != OPTIONS_READ)
        return code;
    code = prompt_check("lens", &prompt);
    if (code != EXIT_DONE)
        return code;
    session s;
    int32_t *ids = NULL;
    size_t n_ids;
    system_catch_signals();
    code = session_open(&s, "lens", &common, SESSION_MODEL | SESSION_TOKENIZER_IF_ANY);
    if (code == EXIT_DONE)
        code = prompt_make(&s, &prompt, &ids, &n_ids);
    if (code == EXIT_DONE)
        code = lens_of(&s, ids, n_ids, (plens_positions)positions, top_k, for_people);
    free(ids);
    session_close(&s);
    return code;
}
