/* What a report writes. Every function takes the results as its user pointer. */
#ifndef PLENS_HARNESS_REPORT_FILES_H
#define PLENS_HARNESS_REPORT_FILES_H

#include "tests/harness/output.h"
#include "tests/harness/report_results.h"

/* TSV: doubles as %.17g, NA for nothing. */
void report_models_tsv(output *out, const void *user);
void report_statistics_tsv(output *out, const void *user);
void report_tests_tsv(output *out, const void *user);
void report_layers_tsv(output *out, const void *user);
void report_formation_tsv(output *out, const void *user);
void report_claims_tsv(output *out, const void *user);
void report_questions_tsv(output *out, const void *user);
void report_resamples_tsv(output *out, const void *user);

/* Tables for \input (booktabs). */
void report_table1_tex(output *out, const void *user);
void report_tests_tex(output *out, const void *user);
void report_claims_tex(output *out, const void *user);

/* The page. */
void report_html(output *out, const void *user);

#endif
