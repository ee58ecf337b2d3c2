/* The verdict: which step departs first, why, and the line that says so. */
#include "runtime/fp.h"

#include "runtime/audit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void set_verdict(const plens__audit *a, plens_audit_row *row) {
    int agrees = a->options->tolerance > 0 ? row->worst <= a->options->tolerance : row->excess <= 1;
    int as_float = a->making == 0 && plens__as_float(a);
    if (row->place == PLENS_PLACE_UNEMBED)
        as_float &= a->logits_stored == PLENS__EXACT;
    row->verdict = !agrees ? PLENS_DEPARTS : as_float ? PLENS_AGREES : PLENS_ROUNDING;
}

static void copy_finding(const plens__finding *finding, plens_audit_result *result) {
    result->part = finding->part;
    result->explained = finding->explained;
    snprintf(result->cause, sizeof result->cause, "%s", finding->text);
}

/* A departing block; block L and the final norm may be one step, and what explains it with fewer
 * numbers is the likelier. */
static plens_status explain_block(plens__audit *a, plens_audit_result *result, plens_error *error) {
    plens__finding finding, norm = {.explained = 0};
    plens_status status = plens__audit_begin(a, result->block, error);
    if (status == PLENS_OK)
        status = plens__investigate(a->model, result->block, &a->c, &finding, error);
    if (status != PLENS_OK)
        return status;
    if (a->c.final_norm != NULL)
        plens__explain_final_norm(a, &norm);
    if (norm.explained && (!finding.explained || norm.n_fitted < finding.n_fitted)) {
        copy_finding(&norm, result);
        if (finding.explained)
            plens__append(result->cause, sizeof result->cause, "; or block %zu: %s: %s",
                          result->block, finding.part, finding.text);
        result->place = PLENS_PLACE_FINAL_NORM;
        result->block = 0;
        return PLENS_OK;
    }
    plens__describe_rest(&a->c, &finding);
    copy_finding(&finding, result);
    result->or_final_norm = a->c.final_norm != NULL && (norm.explained || !finding.explained);
    if (norm.explained)
        plens__append(result->cause, sizeof result->cause, "; or the final norm: %s", norm.text);
    return PLENS_OK;
}

static plens_status explain(plens__audit *a, plens_audit_result *result, plens_error *error) {
    plens__finding finding;
    int at_norm = 0;
    plens_status status;
    if (a->slight.explained) {
        copy_finding(&a->slight, result);
        if (a->slight_at_norm) {
            result->place = PLENS_PLACE_FINAL_NORM;
            result->block = 0;
        }
        return PLENS_OK;
    }
    if (result->place == PLENS_PLACE_BLOCK)
        return explain_block(a, result, error);
    plens__audit_load(a, result->place == PLENS_PLACE_EMBEDDING ? 0 : a->model->config.n_layers,
                      a->c.target);
    status = result->place == PLENS_PLACE_EMBEDDING
                 ? plens__explain_embedding(a, &finding, error)
                 : plens__explain_logits(a, &finding, &at_norm, error);
    if (status != PLENS_OK)
        return status;
    copy_finding(&finding, result);
    if (at_norm)
        result->place = PLENS_PLACE_FINAL_NORM;
    return PLENS_OK;
}

static void place_text(const plens_audit_result *result, char *text, size_t capacity) {
    if (result->place == PLENS_PLACE_BLOCK)
        snprintf(text, capacity, "block %zu", result->block);
    else
        snprintf(text, capacity, "%s",
                 result->place == PLENS_PLACE_EMBEDDING    ? "embedding"
                 : result->place == PLENS_PLACE_FINAL_NORM ? "final norm"
                                                           : "unembed");
}

static void tell_departure(const plens__audit *a, size_t n_others, plens_audit_result *result) {
    char place[48], more[96] = "";
    place_text(result, place, sizeof place);
    if (n_others > 0)
        snprintf(more, sizeof more, "; %zu later step%s by %s own depart%s too", n_others,
                 n_others == 1 ? "" : "s", n_others == 1 ? "its" : "their",
                 n_others == 1 ? "s" : "");
    const char *colon = result->part[0] != '\0' ? ": " : "";
    snprintf(
        result->text, sizeof result->text, "departs at %s: %s%s%s%s%s%s", place,
        result->explained ? "" : "unexplained; best guess ", result->part, colon, result->cause,
        result->or_final_norm && strstr(result->cause, "final norm") == NULL
            ? "; block and final norm could both explain it (the dump has only the normed state)"
            : "",
        more);
    (void)a;
}

static void tell_agreement(const plens__audit *a, const plens_audit_row *worst,
                           plens_audit_result *result) {
    char distance[PLENS__NUMBER_TEXT], tolerance[PLENS__NUMBER_TEXT];
    plens_audit_result at = {.place = worst->place, .block = worst->block};
    char place[48];
    place_text(&at, place, sizeof place);
    plens__show_number(worst->worst, distance);
    if (a->options->tolerance > 0)
        snprintf(result->text, sizeof result->text,
                 "ok: every step is within %s (the worst is %s, at %s)",
                 plens__show_number(a->options->tolerance, tolerance), distance, place);
    else if (result->verdict == PLENS_AGREES)
        snprintf(result->text, sizeof result->text,
                 "ok: every step agrees within the rounding of float32 (the worst distance is %s, "
                 "at %s)",
                 distance, place);
    else
        snprintf(result->text, sizeof result->text,
                 "rounding: every step agrees within the rounding of %s (the worst distance is %s, "
                 "at %s)",
                 result->precision, distance, place);
}

plens_status plens__conclude(plens__audit *a, size_t n_rows, plens_audit_result *result,
                             plens_error *error) {
    const plens_audit_row *first = NULL, *worst = &a->rows[0];
    size_t n_departing = 0;
    for (size_t i = 0; i < n_rows; i++) {
        set_verdict(a, &a->rows[i]);
        n_departing += a->rows[i].verdict == PLENS_DEPARTS;
        if (a->rows[i].verdict == PLENS_DEPARTS && first == NULL)
            first = &a->rows[i];
        if (a->rows[i].worst > worst->worst)
            worst = &a->rows[i];
    }
    result->precision = plens__making_name(a);
    result->part = "";
    if (first == NULL) {
        int rounding = a->making > 0 || !plens__as_float(a) || a->logits_stored != PLENS__EXACT;
        result->verdict = rounding && !(a->options->tolerance > 0) ? PLENS_ROUNDING : PLENS_AGREES;
        tell_agreement(a, worst, result);
        return PLENS_OK;
    }
    result->verdict = PLENS_DEPARTS;
    result->place = first->place;
    result->block = first->block;
    plens_status status = explain(a, result, error);
    if (status == PLENS_OK)
        tell_departure(a, a->slight.explained ? 0 : n_departing - 1, result);
    return status;
}
