/* What the tokenizers need to know of Unicode 16: categories, white space, lower case, and the
 * normalization forms. All of it is by table; nothing depends on the locale. */
#ifndef PLENS_LOADERS_UNICODE_H
#define PLENS_LOADERS_UNICODE_H

#include "loaders/base.h"

/* General categories (Unicode Standard Annex #44, table 12), in the order of the tables. */
typedef enum plens__category {
    PLENS__CN,
    PLENS__LU,
    PLENS__LL,
    PLENS__LT,
    PLENS__LM,
    PLENS__LO,
    PLENS__MN,
    PLENS__MC,
    PLENS__ME,
    PLENS__ND,
    PLENS__NL,
    PLENS__NO,
    PLENS__PC,
    PLENS__PD,
    PLENS__PS,
    PLENS__PE,
    PLENS__PI,
    PLENS__PF,
    PLENS__PO,
    PLENS__SM,
    PLENS__SC,
    PLENS__SK,
    PLENS__SO,
    PLENS__ZS,
    PLENS__ZL,
    PLENS__ZP,
    PLENS__CC,
    PLENS__CF,
    PLENS__CS,
    PLENS__CO
} plens__category;

/* c <= 0x10FFFF. */
plens__category plens__unicode_category(uint32_t c);

/* The categories that a name such as "L" or "Lu" covers, as bits 1 << plens__category; 0 if there
 * is no such name. */
uint32_t plens__unicode_category_mask(const char *name, size_t n);

/* The property White_Space: what \s means to the reference's regular expressions. */
int plens__unicode_is_space(uint32_t c);

/* \w by Unicode Technical Standard #18: alphabetic, marks, decimal digits, connectors, joiners. */
int plens__unicode_is_word(uint32_t c);

/* The full lower case of c, whatever its neighbours are; returns how many characters (1 or 2). */
size_t plens__unicode_lower(uint32_t c, uint32_t out[2]);

typedef enum plens__normal_form {
    PLENS__NFC,
    PLENS__NFD,
    PLENS__NFKC,
    PLENS__NFKD
} plens__normal_form;

/* Appends the normal form (Unicode Standard Annex #15) of text [n], valid UTF-8, to out. Returns 0
 * if there is no memory. */
int plens__unicode_normalize(plens__normal_form form, const char *text, size_t n,
                             plens__buffer *out);

/* Appends c in UTF-8; 0 if there is no memory. */
int plens__append_character(plens__buffer *out, uint32_t c);

#endif
