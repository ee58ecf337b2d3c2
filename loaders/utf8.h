/* UTF-8 (RFC 3629): shortest forms only, no surrogates, at most U+10FFFF. */
#ifndef PLENS_LOADERS_UTF8_H
#define PLENS_LOADERS_UTF8_H

#include "loaders/base.h"

/* Decodes the character at text[0..n): its length 1..4 and *c, or 0 if there is no valid one (then
 * *c is untouched). */
size_t plens__utf8_decode(const char *text, size_t n, uint32_t *c);

/* Writes c (a valid scalar value) to out[4]; returns the length. */
size_t plens__utf8_encode(uint32_t c, char *out);

/* The offset of the first byte that is not part of valid UTF-8; n if all is valid. */
size_t plens__utf8_check(const char *text, size_t n);

/* How many bytes at text (which does not begin a valid character) one U+FFFD stands for: the
 * maximal subpart of an ill-formed sequence (Unicode 16, section 3.9; Rust's from_utf8_lossy). */
size_t plens__utf8_bad_length(const char *text, size_t n);

#endif
