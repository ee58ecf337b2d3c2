/* What findings are worded with: slots by the names of the checkpoint, numbers without a locale. */
#include "runtime/fp.h"

#include "runtime/audit_suspects.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct slot_entry {
    const char *name, *part;
} slot_entry;

static const slot_entry slots[PLENS__N_SLOTS] = {
    {"q_proj.weight", "attention"},
    {"k_proj.weight", "attention"},
    {"v_proj.weight", "attention"},
    {"o_proj.weight", "attention"},
    {"gate_proj.weight", "MLP"},
    {"up_proj.weight", "MLP"},
    {"down_proj.weight", "MLP"},
    {"q_proj.bias", "attention"},
    {"k_proj.bias", "attention"},
    {"v_proj.bias", "attention"},
    {"o_proj.bias", "attention"},
    {"gate_proj.bias", "MLP"},
    {"up_proj.bias", "MLP"},
    {"down_proj.bias", "MLP"},
    {"input_layernorm.weight", "attention"},
    {"post_attention_layernorm.weight", "MLP"},
    {"q_norm.weight", "attention"},
    {"k_norm.weight", "attention"},
};

const char *plens__slot_name(plens__slot slot) {
    return slots[slot].name;
}

const char *plens__slot_part(plens__slot slot) {
    return slots[slot].part;
}

int plens__slot_is_mlp(plens__slot slot) {
    return slot >= PLENS__SLOT_GATE && strcmp(slots[slot].part, "MLP") == 0;
}

void plens__append(char *text, size_t capacity, const char *format, ...) {
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + used, capacity - used, format, arguments);
    va_end(arguments);
}

void plens__explain(plens__finding *finding, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(finding->text, sizeof finding->text, format, arguments);
    va_end(arguments);
    finding->explained = 1;
}

enum { FEW_DIGITS = 4, MOST_DIGITS = 9 };

/* |x| = digits * 10^(exponent - n + 1), of n digits. */
static unsigned long leading_digits(double x, int n, int *exponent) {
    double scaled = fabs(x), most = 1;
    for (int i = 0; i < n; i++)
        most *= 10;
    for (*exponent = n - 1; scaled >= most - 0.5 && *exponent < 400; ++*exponent)
        scaled /= 10;
    for (; scaled < most / 10 - 0.05; --*exponent)
        scaled *= 10;
    return (unsigned long)(scaled + 0.5);
}

/* No printf of doubles: its decimal point is the locale's. */
static const char *show_digits(double x, int n_digits, char *text) {
    int exponent;
    if (x == 0 || !(fabs(x) < 1e300)) {
        snprintf(text, PLENS__NUMBER_TEXT, "%s", x == 0 ? "0" : "not finite");
        return text;
    }
    unsigned long digits = leading_digits(x, n_digits, &exponent);
    for (; n_digits > 1 && digits % 10 == 0; n_digits--)
        digits /= 10;
    char all[MOST_DIGITS + 2];
    snprintf(all, sizeof all, "%lu", digits);
    const char *sign = x < 0 ? "-" : "";
    if (exponent < -4 || exponent > 7)
        snprintf(text, PLENS__NUMBER_TEXT, "%s%c%s%se%c%02d", sign, all[0], n_digits > 1 ? "." : "",
                 all + 1, exponent < 0 ? '-' : '+', exponent < 0 ? -exponent : exponent);
    else if (exponent < 0)
        snprintf(text, PLENS__NUMBER_TEXT, "%s0.%.*s%s", sign, -exponent - 1, "000", all);
    else if (n_digits <= exponent + 1)
        snprintf(text, PLENS__NUMBER_TEXT, "%s%s%.*s", sign, all, exponent + 1 - n_digits,
                 "0000000");
    else
        snprintf(text, PLENS__NUMBER_TEXT, "%s%.*s.%s", sign, exponent + 1, all,
                 all + exponent + 1);
    return text;
}

const char *plens__show_number(double x, char *text) {
    return show_digits(x, FEW_DIGITS, text);
}

void plens__show_both(double x, double other, char *text, char *other_text) {
    int n_digits = FEW_DIGITS - 1;
    do {
        show_digits(x, ++n_digits, text);
        show_digits(other, n_digits, other_text);
    } while (strcmp(text, other_text) == 0 && n_digits < MOST_DIGITS);
}
