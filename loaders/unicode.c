#include "loaders/unicode.h"

#include <string.h>

#include "loaders/unicode_tables.h"
#include "loaders/utf8.h"

plens__category plens__unicode_category(uint32_t c) {
    const uint16_t *page = plens__category_pages + (c >> 8);
    size_t low = page[0], high = page[1]; /* the run is low, high, or one between them */
    while (low < high) {
        size_t middle = (low + high + 1) / 2;
        if (plens__category_runs[middle] >> 5 <= c)
            low = middle;
        else
            high = middle - 1;
    }
    return (plens__category)(plens__category_runs[low] & 31);
}

uint32_t plens__unicode_category_mask(const char *name, size_t n) {
    static const char names[] = "CnLuLlLtLmLoMnMcMeNdNlNoPcPdPsPePiPfPoSmScSkSoZsZlZpCcCfCsCo";
    uint32_t mask = 0;
    if (n != 1 && n != 2)
        return 0;
    for (size_t i = 0; names[2 * i] != 0; i++) {
        if (memcmp(names + 2 * i, name, n) == 0)
            mask |= (uint32_t)1 << i;
    }
    return mask;
}

int plens__unicode_is_space(uint32_t c) {
    if (c < 0x80)
        return c == 0x20 || (c >= 9 && c <= 0xD);
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

int plens__unicode_is_word(uint32_t c) {
    const uint32_t word =
        (uint32_t)1 << PLENS__LU | (uint32_t)1 << PLENS__LL | (uint32_t)1 << PLENS__LT |
        (uint32_t)1 << PLENS__LM | (uint32_t)1 << PLENS__LO | (uint32_t)1 << PLENS__MN |
        (uint32_t)1 << PLENS__MC | (uint32_t)1 << PLENS__ME | (uint32_t)1 << PLENS__ND |
        (uint32_t)1 << PLENS__NL | (uint32_t)1 << PLENS__PC;
    if (word >> plens__unicode_category(c) & 1)
        return 1;
    /* Alphabetic beyond the categories (circled and squared letters), and Join_Control. */
    return (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
           (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189) || c == 0x200C ||
           c == 0x200D;
}

size_t plens__unicode_lower(uint32_t c, uint32_t out[2]) {
    out[0] = c;
    if (c < 0x80) {
        out[0] = c >= 'A' && c <= 'Z' ? c + 32 : c;
        return 1;
    }
    if (c == 0x130) { /* I with dot: the only one that becomes two (SpecialCasing.txt) */
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    size_t low = 0, high = plens__n_lower_runs;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const int32_t *run = plens__lower_runs + 4 * middle; /* first, last, step, delta */
        if ((int32_t)c > run[1]) {
            low = middle + 1;
        } else if ((int32_t)c < run[0]) {
            high = middle;
        } else {
            if (((int32_t)c - run[0]) % run[2] == 0)
                out[0] = (uint32_t)((int32_t)c + run[3]);
            return 1;
        }
    }
    return 1;
}

int plens__append_character(plens__buffer *out, uint32_t c) {
    char bytes[4];
    return plens__buffer_append(out, bytes, plens__utf8_encode(c, bytes));
}
