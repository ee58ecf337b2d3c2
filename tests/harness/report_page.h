/* The parts of a report's page. */
#ifndef PLENS_HARNESS_REPORT_PAGE_H
#define PLENS_HARNESS_REPORT_PAGE_H

#include "tests/harness/output.h"
#include "tests/harness/report_results.h"

/* ---- tables that can be sorted ---- */

/* A column's head. is_number: its cells are numbers, from the largest first. */
typedef struct page_column {
    const char *head;
    int is_number;
} page_column;

void page_table_open(output *out, const char *caption, const page_column *columns, size_t n);
void page_table_close(output *out);

/* Cells. A text is of the world outside; a number has `digits` behind the point, NaN is a dash. */
void page_text(output *out, const char *text);
void page_count(output *out, size_t number);
void page_number(output *out, double number, int digits);
void page_interval(output *out, interval i, int digits);
void page_p(output *out, double p);

/* ---- sections ---- */

void page_claims(output *out, const results *found);
void page_table1(output *out, const results *found);
void page_tests(output *out, const results *found);
void page_figure2(output *out, const results *found);
void page_layers(output *out, const results *found);
void page_runs(output *out, const results *found);
void page_notes(output *out, const results *found);

/* The style sheet, after html_style's first part, and the script; ended by NULL. */
extern const char *const page_style[], *const page_script[];

#endif
