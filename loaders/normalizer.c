#include "loaders/normalizer.h"

#include <string.h>

#include "loaders/byte_level.h"
#include "loaders/unicode.h"
#include "loaders/utf8.h"

typedef enum step_kind {
    NORMAL_FORM,
    LOWERCASE,
    STRIP,
    STRIP_ACCENTS,
    PREPEND,
    REPLACE,
    BYTE_LEVEL
} step_kind;

struct plens__normalizer_step {
    step_kind kind;
    plens__normal_form form;
    int left, right;     /* STRIP */
    plens__regex regex;  /* REPLACE */
    const char *content; /* PREPEND, REPLACE: [n_content] */
    size_t n_content;
};

/* ---- Reading ---- */

static plens_status read_content(const plens__part *part, const plens__json *component,
                                 const char *key, plens__normalizer_step *step) {
    const plens__json *string;
    plens_status status = plens__part_string(part, component, key, &string);
    return status != PLENS_OK ? status
                              : plens__part_copy(part, string, &step->content, &step->n_content);
}

static plens_status read_replace(const plens__part *part, const plens__json *component,
                                 plens__normalizer_step *step) {
    plens_status status = plens__part_pattern(part, component, &step->regex);
    return status != PLENS_OK ? status : read_content(part, component, "content", step);
}

static plens_status read_strip(const plens__part *part, const plens__json *component,
                               plens__normalizer_step *step) {
    plens_status status = plens__part_bool(part, component, "strip_left", -1, &step->left);
    return status != PLENS_OK ? status
                              : plens__part_bool(part, component, "strip_right", -1, &step->right);
}

static plens_status read_step(const plens__part *part, const plens__json *component,
                              const plens__json *type, void *user) {
    static const struct {
        const char *name;
        step_kind kind;
        plens__normal_form form;
    } known[] = {
        {"NFC", NORMAL_FORM, PLENS__NFC},
        {"NFD", NORMAL_FORM, PLENS__NFD},
        {"NFKC", NORMAL_FORM, PLENS__NFKC},
        {"NFKD", NORMAL_FORM, PLENS__NFKD},
        {"Lowercase", LOWERCASE, PLENS__NFC},
        {"Strip", STRIP, PLENS__NFC},
        {"StripAccents", STRIP_ACCENTS, PLENS__NFC},
        {"Prepend", PREPEND, PLENS__NFC},
        {"Replace", REPLACE, PLENS__NFC},
        {"ByteLevel", BYTE_LEVEL, PLENS__NFC},
    };
    plens__normalizer *normalizer = user;
    plens__normalizer_step *step = &normalizer->steps[normalizer->n_steps];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!plens__json_is_string(type, known[i].name))
            continue;
        step->kind = known[i].kind;
        step->form = known[i].form;
        normalizer->n_steps++;
        if (step->kind == PREPEND)
            return read_content(part, component, "prepend", step);
        if (step->kind == REPLACE)
            return read_replace(part, component, step);
        return step->kind == STRIP ? read_strip(part, component, step) : PLENS_OK;
    }
    return plens__part_unknown(part, "type", type);
}

plens_status plens__normalizer_read(const plens__part *part, const plens__json *json,
                                    plens__normalizer *normalizer) {
    size_t bytes, count = plens__part_count(json, "normalizers");
    normalizer->n_steps = 0;
    if (!plens__mul(count, sizeof *normalizer->steps, &bytes))
        return plens__part_no_memory(part);
    normalizer->steps = plens__arena_alloc(part->arena, bytes);
    if (normalizer->steps == NULL)
        return plens__part_no_memory(part);
    memset(normalizer->steps, 0, bytes);
    return plens__part_walk(part, json, "normalizers", read_step, normalizer);
}

/* ---- Applying ---- */

static int lowercase(const char *text, size_t n, plens__buffer *out) {
    for (size_t i = 0; i < n;) {
        uint32_t c = 0xFFFD, lower[2];
        i += plens__utf8_decode(text + i, n - i, &c);
        size_t count = plens__unicode_lower(c, lower);
        for (size_t j = 0; j < count; j++) {
            if (!plens__append_character(out, lower[j]))
                return 0;
        }
    }
    return 1;
}

static int strip_accents(const char *text, size_t n, plens__buffer *out, int *first) {
    uint32_t marks = plens__unicode_category_mask("M", 1);
    for (size_t i = 0; i < n;) {
        uint32_t c = 0xFFFD;
        size_t length = plens__utf8_decode(text + i, n - i, &c);
        int is_mark = (int)(marks >> plens__unicode_category(c) & 1);
        if (is_mark && i == 0)
            *first = 0;
        if (!is_mark && !plens__buffer_append(out, text + i, length))
            return 0;
        i += length;
    }
    return 1;
}

static int strip(const plens__normalizer_step *step, const char *text, size_t n, plens__buffer *out,
                 int *first) {
    size_t from = 0, to = n;
    uint32_t c;
    while (step->left && from < n) {
        size_t length = plens__utf8_decode(text + from, n - from, &c);
        if (!plens__unicode_is_space(c))
            break;
        from += length;
    }
    while (step->right && to > from) {
        size_t at = to - 1;
        while (at > from && ((unsigned char)text[at] & 0xC0) == 0x80)
            at--;
        plens__utf8_decode(text + at, to - at, &c);
        if (!plens__unicode_is_space(c))
            break;
        to = at;
    }
    if (from > 0)
        *first = 0;
    return plens__buffer_append(out, text + from, to - from);
}

/* A replacement stands where the last character it replaces stood: at the beginning only if that
 * was one character, or none. */
static int still_first(const plens__normalizer_step *step, const char *text, size_t end) {
    uint32_t c;
    return end == 0 || (step->n_content > 0 && plens__utf8_decode(text, end, &c) == end);
}

static int replace(const plens__normalizer_step *step, const char *text, size_t n,
                   plens__buffer *out, int *first) {
    plens__regex_matches matches = {&step->regex, text, n, 0, 0, 0};
    size_t start, end, done = 0;
    while (n > 0 && plens__regex_next(&matches, &start, &end)) {
        if (start == 0 && !still_first(step, text, end))
            *first = 0;
        if (!plens__buffer_append(out, text + done, start - done) ||
            !plens__buffer_append(out, step->content, step->n_content))
            return 0;
        done = end;
    }
    return plens__buffer_append(out, text + done, n - done);
}

static int apply_step(const plens__normalizer_step *step, const char *text, size_t n,
                      plens__buffer *out, int *first) {
    switch (step->kind) {
    case NORMAL_FORM:
        return plens__unicode_normalize(step->form, text, n, out);
    case LOWERCASE:
        return lowercase(text, n, out);
    case STRIP:
        return strip(step, text, n, out, first);
    case STRIP_ACCENTS:
        return strip_accents(text, n, out, first);
    case PREPEND: /* not to an empty text */
        return (n == 0 || plens__buffer_append(out, step->content, step->n_content)) &&
               plens__buffer_append(out, text, n);
    case REPLACE:
        return replace(step, text, n, out, first);
    case BYTE_LEVEL:
        return plens__byte_level_encode(text, n, out);
    }
    return 0;
}

int plens__normalizer_apply(const plens__normalizer *normalizer, const char *text, size_t n,
                            plens__buffer *out, plens__buffer *scratch, int *first) {
    out->count = 0;
    if (!plens__buffer_append(out, text, n))
        return 0;
    for (size_t i = 0; i < normalizer->n_steps; i++) {
        plens__buffer input = *out;
        *out = *scratch;
        *scratch = input;
        out->count = 0;
        if (!apply_step(&normalizer->steps[i], input.data, input.count, out, first))
            return 0;
    }
    return 1;
}
