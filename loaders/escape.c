/* How text that may hold anything is written into a TSV cell or a JSON string. */
#include "loaders/base.h"

#include <string.h>

#include "loaders/utf8.h"

/* Bytes on their way to out [capacity]; what does not fit is counted all the same. */
typedef struct sink {
    char *out;
    size_t capacity, count;
} sink;

static void put(sink *s, const char *bytes, size_t n) {
    for (size_t i = 0; i < n; i++, s->count++) {
        if (s->count + 1 < s->capacity)
            s->out[s->count] = bytes[i];
    }
}

static size_t finish(const sink *s) {
    if (s->capacity > 0)
        s->out[s->count < s->capacity ? s->count : s->capacity - 1] = 0;
    return s->count;
}

/* prefix and the byte as two hexadecimal digits. */
static void put_hex(sink *s, const char *prefix, unsigned char byte) {
    static const char digits[] = "0123456789ABCDEF";
    char hex[2] = {digits[byte >> 4], digits[byte & 15]};
    put(s, prefix, strlen(prefix));
    put(s, hex, 2);
}

/* A backslash and the letter that stands for c, if there is one: plain[i] is written letters[i]. */
static int put_letter(sink *s, char c, const char *plain, const char *letters) {
    const char *place = c != 0 ? strchr(plain, c) : NULL;
    if (place == NULL)
        return 0;
    char escape[2] = {'\\', letters[place - plain]};
    put(s, escape, 2);
    return 1;
}

size_t plens_tsv_escape(const char *bytes, size_t n_bytes, char *out, size_t capacity) {
    sink s = {out, capacity, 0};
    for (size_t i = 0; i < n_bytes;) {
        uint32_t c;
        size_t length = plens__utf8_decode(bytes + i, n_bytes - i, &c);
        int plain = length > 1 || (length == 1 && c >= 0x20 && c != 0x7F && c != '\\');
        if (plain)
            put(&s, bytes + i, length);
        else if (!put_letter(&s, bytes[i], "\t\n\r\\", "tnr\\"))
            put_hex(&s, "\\x", (unsigned char)bytes[i]);
        i += length > 0 ? length : 1;
    }
    return finish(&s);
}

size_t plens_json_escape(const char *bytes, size_t n_bytes, char *out, size_t capacity) {
    sink s = {out, capacity, 0};
    for (size_t i = 0; i < n_bytes;) {
        uint32_t c;
        size_t length = plens__utf8_decode(bytes + i, n_bytes - i, &c);
        if (length == 0) {
            put(&s, "\xEF\xBF\xBD", 3); /* U+FFFD */
            i += plens__utf8_bad_length(bytes + i, n_bytes - i);
            continue;
        }
        if (c >= 0x20 && c != '"' && c != '\\')
            put(&s, bytes + i, length);
        else if (!put_letter(&s, bytes[i], "\"\\\b\f\n\r\t", "\"\\bfnrt"))
            put_hex(&s, "\\u00", (unsigned char)c);
        i += length;
    }
    return finish(&s);
}
