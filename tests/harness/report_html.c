#include "tests/harness/report_files.h"

void report_html(output *out, const void *user) {
    const results *found = user;
    output_format(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>"
        "<title>Persona consistency</title></head>\n<body><p>%zu runs; the numbers are in "
        "the TSV files beside this page.</p></body></html>\n",
        found->report->n_runs);
}
