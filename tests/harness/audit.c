/* plens audit: at which step another engine's states depart from the model, and why. A row a step
 * as TSV, then the verdict in one line. */
#include "tests/harness/commands.h"

#include <stdlib.h>
#include <string.h>

#include "tests/harness/output.h"
#include "tests/harness/progress.h"
#include "tests/harness/session.h"
#include "tests/harness/system.h"

static const char usage[] =
    "usage: plens audit --model DIR --dump F.safetensors [--tolerance X]\n"
    "\n"
    "Takes every step of another engine's dump by itself: the dump's own input to it through the\n"
    "model in float64, against the dump's output; tells rounding from a mistake, names the first\n"
    "bad step and looks for its cause. The dump holds input_ids, hidden_states.0 to .L as\n"
    "Transformers gives them (the last one normed) or resid.0 to .L as plens dump writes them,\n"
    "and maybe logits.\n"
    "\n"
    "Prints TSV: step (embedding, block 1 to L, unembed), verdict (ok, rounding, departs),\n"
    "distance |a-b|/|b|, worst (of a position), position, change (|a-b| over what the step\n"
    "changes), rounding (the distance that rounding makes), excess (above 1 rounding does not\n"
    "explain it); then the verdict: ok, rounding or departs at ...\n"
    "\n"
    "  --dump F       the file to judge\n"
    "  --tolerance X  a step agrees if no position's distance is above X; rounding is not asked\n"
    "\n"
    "Exit status: 0 ok or rounding, 1 departs.\n"
    "\n" COMMON_USAGE;

/* A positive decimal number; the program never sets a locale, so the point is a point. */
static int parse_tolerance(const char *text, double *tolerance) {
    char *end;
    if ((*text < '0' || *text > '9') && *text != '.')
        return 0;
    *tolerance = strtod(text, &end);
    return *end == '\0' && *tolerance > 0 && *tolerance < 1e300;
}

/* A callback of plens_audit_options: rows come when all is judged, so that a dump that cannot be
 * leaves nothing on standard output. */
static int print_row(void *user, const plens_audit_row *row) {
    static const char *const verdicts[] = {"ok", "rounding", "departs"};
    output *out = user;
    if (out->offset == 0)
        output_format(out, "step\tverdict\tdistance\tworst\tposition\tchange\trounding\texcess\n");
    if (row->place == PLENS_PLACE_BLOCK)
        output_format(out, "block %zu", row->block);
    else
        output_format(out, row->place == PLENS_PLACE_EMBEDDING ? "embedding" : "unembed");
    output_format(out, "\t%s\t%.9g\t%.9g\t%zu\t", verdicts[row->verdict], row->distance, row->worst,
                  row->worst_position);
    output_format(out, row->change > 0 ? "%.9g" : "NA", row->change);
    output_format(out, "\t%.9g\t%.9g\n", row->rounding, row->excess);
    return out->reason != 0;
}

static int run(session *s, const char *path, double tolerance) {
    plens_dump *dump;
    plens_error error;
    plens_audit_options options;
    plens_audit_result result;
    output out;
    progress p;
    if (plens_dump_open(s->context, s->model, path, &dump, &error) != PLENS_OK)
        return fail_error(&error);
    memset(&options, 0, sizeof options);
    output_standard(&out);
    options.tolerance = tolerance;
    options.row = print_row;
    options.row_user = &out;
    options.progress = progress_update;
    options.progress_user = &p;
    progress_start(&p, s->options.quiet, plens_dump_states(dump)->n_ids);
    plens_status status =
        plens_audit(s->context, s->model, plens_dump_states(dump), &options, &result, &error);
    progress_end(&p, status == PLENS_OK);
    plens_dump_close(dump);
    if (out.reason == 0 && status != PLENS_OK) {
        output_discard(&out);
        return status == PLENS_CANCELLED ? fail_stopped() : fail_error(&error);
    }
    if (status == PLENS_OK)
        output_format(&out, "%s\n", result.text);
    int code = output_finish(&out);
    output_discard(&out);
    return code != EXIT_DONE ? code : result.verdict == PLENS_DEPARTS ? EXIT_NO : EXIT_DONE;
}

int command_audit(int argc, char **argv) {
    common_options common = {0};
    const char *path = NULL, *text = NULL;
    double tolerance = 0;
    const option options[] = {
        {"--dump", OPTION_TEXT, &path, NULL},
        {"--tolerance", OPTION_TEXT, &text, NULL},
        COMMON_OPTIONS(common),
    };
    int code =
        options_read("audit", usage, options, sizeof options / sizeof options[0], argc, argv);
    if (code != OPTIONS_READ)
        return code;
    if (path == NULL)
        return fail_usage("audit", "--dump FILE is missing");
    if (text != NULL && !parse_tolerance(text, &tolerance))
        return fail_usage("audit", "--tolerance takes a number above 0, found '%s'", text);
    session s;
    system_catch_signals();
    code = session_open(&s, "audit", &common, SESSION_MODEL);
    if (code == EXIT_DONE)
        code = run(&s, path, tolerance);
    session_close(&s);
    return code;
}
