/* GPT-2's alphabet of bytes: each byte is written as one visible character (the printable ones of
 * Latin-1 as themselves, the other 68 as U+0100 and on), so that tokens are strings.
 * https://github.com/openai/gpt-2/blob/master/src/encoder.py, bytes_to_unicode. */
#ifndef PLENS_LOADERS_BYTE_LEVEL_H
#define PLENS_LOADERS_BYTE_LEVEL_H

#include "loaders/base.h"

/* The pattern by which GPT-2 splits, and ByteLevel with use_regex. */
#define PLENS__GPT2_PATTERN                                                                        \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/* Appends the bytes [n], each as its character; 0 if there is no memory. */
int plens__byte_level_encode(const char *bytes, size_t n, plens__buffer *out);

/* Appends the bytes that text [n] stands for, or text itself if some character is not in the
 * alphabet; 0 if there is no memory. */
int plens__byte_level_decode(const char *text, size_t n, plens__buffer *out);

#endif
