/* Code points of UTF-8 and what showing them takes. */
#ifndef PLENS_HARNESS_CODE_POINTS_H
#define PLENS_HARNESS_CODE_POINTS_H

#include <stddef.h>

/* Decodes the character that begins at text[0..n) (RFC 3629: shortest forms only, no surrogates):
 * its length 1..4 and *code, or 0 if there is none. */
size_t code_point_read(const char *text, size_t n, unsigned long *code);

/* A combining mark (Unicode 16, category M): it needs a character before it to stand on. Code
 * points that are not assigned count as their neighbours. */
int code_point_is_mark(unsigned long code);

/* 1 for what cannot be seen, or would change how the text around it is shown: controls, formats
 * (those that turn the direction of writing among them), spaces other than U+0020, private use, no
 * characters. */
int code_point_is_hidden(unsigned long code);

/* 1 in the blocks of scripts that are written from right to left (the Bidi_Class defaults R and AL
 * of DerivedBidiClass.txt). */
int code_point_is_leftward(unsigned long code);

/* 1 for what settles the direction of the text around it: all but the marks, digits, signs and
 * spaces of ASCII, Latin-1, Arabic and the blocks of punctuation and symbols. */
int code_point_is_letter(unsigned long code);

/* Columns that a terminal gives it: East Asian wide ones two, marks none. */
size_t code_point_columns(unsigned long code);

/* The columns of valid UTF-8. */
size_t text_columns(const char *text);

#endif
