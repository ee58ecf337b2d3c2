#include "loaders/byte_level.h"

#include "loaders/unicode.h"
#include "loaders/utf8.h"

static int is_itself(uint32_t byte) {
    return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

/* The other bytes in order: 00-20, 7F-A0, AD are U+0100 to U+0143. */
static uint32_t byte_to_character(uint32_t byte) {
    if (is_itself(byte))
        return byte;
    return 0x100 + (byte <= 0x20 ? byte : byte <= 0xA0 ? byte - 0x7F + 0x21 : 0x43);
}

/* The byte, or 256 if the character is not in the alphabet. */
static uint32_t character_to_byte(uint32_t c) {
    if (c < 0x100)
        return is_itself(c) ? c : 256;
    if (c > 0x143)
        return 256;
    return c <= 0x120 ? c - 0x100 : c <= 0x142 ? c - 0x121 + 0x7F : 0xAD;
}

int plens__byte_level_encode(const char *bytes, size_t n, plens__buffer *out) {
    for (size_t i = 0; i < n; i++) {
        if (!plens__append_character(out, byte_to_character((unsigned char)bytes[i])))
            return 0;
    }
    return 1;
}

int plens__byte_level_decode(const char *text, size_t n, plens__buffer *out) {
    size_t kept = out->count;
    for (size_t i = 0; i < n;) {
        uint32_t c = 0x10FFFF;
        size_t length = plens__utf8_decode(text + i, n - i, &c);
        uint32_t byte = character_to_byte(c);
        if (byte > 255) {
            out->count = kept;
            return plens__buffer_append(out, text, n);
        }
        char one = (char)(unsigned char)byte;
        if (!plens__buffer_append(out, &one, 1))
            return 0;
        i += length;
    }
    return 1;
}
