#include "tests/harness/text_cell.h"

#include <stdio.h>
#include <string.h>

#include "tests/harness/code_points.h"

text_cell text_cell_of(const char *bytes, size_t n_bytes, int is_token) {
    text_cell cell = {bytes, bytes, is_token, 0};
    if (n_bytes > 0)
        cell.end += n_bytes;
    return cell;
}

text_cell text_cell_of_token(const plens_tokenizer *tokenizer, int32_t id, char name[16]) {
    size_t n_bytes = 0;
    const char *bytes = tokenizer == NULL ? NULL : plens_tokenizer_token(tokenizer, id, &n_bytes);
    if (n_bytes > 0)
        return text_cell_of(bytes, n_bytes, 1);
    sprintf(name, "[%ld]", (long)id);
    return text_cell_of(name, strlen(name), 1);
}

/* Joiners shape the characters on both sides (Persian words, emoji of several), so they stay where
 * there is something on both. */
static int joins(const text_cell *cell, unsigned long code, size_t length, int had_base) {
    unsigned long next;
    return (code == 0x200C || code == 0x200D) && had_base &&
           code_point_read(cell->at + length, (size_t)(cell->end - cell->at) - length, &next) > 0 &&
           next != ' ' && !code_point_is_hidden(next);
}

static void name_hidden(sign *s, unsigned long code) {
    switch (code) {
    case '\n':
        strcpy(s->text, "\\n");
        break;
    case '\r':
        strcpy(s->text, "\\r");
        break;
    case '\t':
        strcpy(s->text, "\\t");
        break;
    default:
        sprintf(s->text, code < 0x80 ? "\\x%02lX" : "U+%04lX", code & 0x1FFFFF);
    }
}

static void stand_in(sign *s, unsigned long code) {
    s->is_stand_in = 1;
    s->columns = text_columns(s->text);
    s->code = code;
}

int text_cell_next(text_cell *cell, sign *s) {
    static const char dotted_circle[] = "\xE2\x97\x8C", middle_dot[] = "\xC2\xB7";
    if (cell->at == cell->end)
        return 0;
    memset(s, 0, sizeof *s);
    unsigned long code = 0;
    size_t length = code_point_read(cell->at, (size_t)(cell->end - cell->at), &code);
    int is_mark = length > 0 && code_point_is_mark(code), had_base = cell->has_base;
    cell->has_base = 0;
    if (length == 0) {
        sprintf(s->text, "\\x%02X", (unsigned)(unsigned char)*cell->at);
        length = 1;
        stand_in(s, 0);
    } else if (code == ' ' && cell->is_token) {
        strcpy(s->text, middle_dot);
        stand_in(s, code);
    } else if (code_point_is_hidden(code) && !joins(cell, code, length, had_base)) {
        name_hidden(s, code);
        stand_in(s, 0);
    } else {
        size_t n = 0;
        cell->has_base = code != ' ';
        if (is_mark && !had_base) {
            strcpy(s->text, dotted_circle);
            n = strlen(s->text);
        }
        memcpy(s->text + n, cell->at, length);
        s->columns = text_columns(s->text);
        s->code = code;
    }
    cell->at += length;
    return 1;
}

int text_cell_is_leftward(text_cell cell) {
    sign s;
    while (text_cell_next(&cell, &s)) {
        if (!s.is_stand_in && code_point_is_letter(s.code))
            return code_point_is_leftward(s.code);
    }
    return 0;
}
