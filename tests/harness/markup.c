#include "tests/harness/markup.h"

#include <string.h>

static void put(output *out, const char *text) {
    output_bytes(out, text, strlen(text));
}

static void put_escaped(output *out, const char *text) {
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<':
            put(out, "&lt;");
            break;
        case '>':
            put(out, "&gt;");
            break;
        case '&':
            put(out, "&amp;");
            break;
        case '"':
            put(out, "&quot;");
            break;
        case '\'':
            put(out, "&#39;");
            break;
        default:
            output_bytes(out, text, 1);
        }
    }
}

void markup_sign(output *out, const sign *s, const markup_tags *tags) {
    static const markup_tags none = {"", "", "", ""};
    const markup_tags *t = tags == NULL || !s->is_stand_in ? &none : tags;
    int is_space = s->code == ' ';
    put(out, is_space ? t->space_open : t->other_open);
    put_escaped(out, s->text);
    put(out, is_space ? t->space_close : t->other_close);
}

static void put_signs(output *out, text_cell cell, const markup_tags *tags) {
    sign s;
    while (text_cell_next(&cell, &s))
        markup_sign(out, &s, tags);
}

void markup_text(output *out, const char *text, const markup_tags *tags) {
    put_signs(out, text_cell_of(text, strlen(text), 0), tags);
}

void markup_token(output *out, const plens_tokenizer *tokenizer, int32_t id,
                  const markup_tags *tags) {
    char name[16];
    put_signs(out, text_cell_of_token(tokenizer, id, name), tags);
}
