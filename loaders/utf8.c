#include "loaders/utf8.h"

/* How long the sequence is that lead begins, 0 if it begins none; and the range that its second
 * byte must lie in (Unicode 16, table 3-7: this is what excludes long forms and surrogates). */
static size_t sequence_length(unsigned char lead, unsigned char *low, unsigned char *high) {
    *low = 0x80;
    *high = 0xBF;
    if (lead < 0x80)
        return 1;
    if (lead < 0xC2 || lead > 0xF4)
        return 0;
    if (lead == 0xE0)
        *low = 0xA0;
    if (lead == 0xED)
        *high = 0x9F;
    if (lead == 0xF0)
        *low = 0x90;
    if (lead == 0xF4)
        *high = 0x8F;
    return lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

/* How many bytes of the sequence at text are right, and its full length. */
static size_t valid_prefix(const char *text, size_t n, size_t *length) {
    const unsigned char *bytes = (const unsigned char *)text;
    unsigned char low, high;
    *length = n > 0 ? sequence_length(bytes[0], &low, &high) : 0;
    if (*length == 0)
        return 0;
    size_t good = 1;
    while (good < *length && good < n && bytes[good] >= low && bytes[good] <= high) {
        low = 0x80;
        high = 0xBF;
        good++;
    }
    return good;
}

size_t plens__utf8_decode(const char *text, size_t n, uint32_t *c) {
    size_t length;
    if (valid_prefix(text, n, &length) != length || length == 0)
        return 0;
    const unsigned char *bytes = (const unsigned char *)text;
    uint32_t value = length == 1 ? bytes[0] : bytes[0] & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++)
        value = value << 6 | (bytes[i] & 0x3Fu);
    *c = value;
    return length;
}

size_t plens__utf8_encode(uint32_t c, char *out) {
    size_t length = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[5] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = length - 1; i > 0; i--) {
        out[i] = (char)(unsigned char)(0x80 | (c & 0x3F));
        c >>= 6;
    }
    out[0] = (char)(unsigned char)(lead[length] | c);
    return length;
}

size_t plens__utf8_check(const char *text, size_t n) {
    size_t i = 0;
    while (i < n) {
        uint32_t c;
        size_t length = plens__utf8_decode(text + i, n - i, &c);
        if (length == 0)
            return i;
        i += length;
    }
    return n;
}

size_t plens__utf8_bad_length(const char *text, size_t n) {
    size_t length;
    size_t good = valid_prefix(text, n, &length);
    return good == 0 ? 1 : good;
}
