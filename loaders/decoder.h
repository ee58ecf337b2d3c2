/* The "decoder" of tokenizer.json: the texts of tokens to one text. ByteLevel, ByteFallback,
 * Replace, Fuse, Strip, Metaspace, BPEDecoder, Sequence; without a decoder, tokens are joined by
 * spaces. */
#ifndef PLENS_LOADERS_DECODER_H
#define PLENS_LOADERS_DECODER_H

#include "loaders/component.h"
#include "loaders/pieces.h"

typedef struct plens__decoder_step plens__decoder_step;
typedef struct plens__decoder {
    plens__decoder_step *steps;
    size_t n_steps;
    int absent;
} plens__decoder;

plens_status plens__decoder_read(const plens__part *part, const plens__json *json,
                                 plens__decoder *decoder);

/* Turns the tokens in *pieces (one piece each) into one text, pieces->text. *scratch is a second
 * set of pieces. 0 if there is no memory. */
int plens__decoder_apply(const plens__decoder *decoder, plens__pieces *pieces,
                         plens__pieces *scratch);

/* Appends what a token with this text contributes in the middle of a text: as plens__decoder_apply
 * without what it does at the ends, and bytes that are no UTF-8 stay. 0 if there is no memory. */
int plens__decoder_token(const plens__decoder *decoder, const char *text, size_t n,
                         plens__buffer *out, plens__buffer *scratch);

#endif
