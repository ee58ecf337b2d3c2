/* Text inside HTML and XML. The pictures are written to be both: what they say of the world outside
 * (tokens, prompts, names) goes through here and nowhere else. */
#ifndef PLENS_HARNESS_MARKUP_H
#define PLENS_HARNESS_MARKUP_H

#include "tests/harness/output.h"
#include "tests/harness/text_cell.h"

/* How stand-ins are set apart from text: pairs of tags, "" for none. */
typedef struct markup_tags {
    const char *space_open, *space_close; /* the dot for a token's space */
    const char *other_open, *other_close; /* "\n", "\xE3", "U+200B" */
} markup_tags;

/* One sign, its tags included. */
void markup_sign(output *out, const sign *s, const markup_tags *tags);

/* A text, spaces as they are. tags may be NULL. */
void markup_text(output *out, const char *text, const markup_tags *tags);

/* A token; "[N]" for an id without one, or with an empty one, or without a tokenizer. */
void markup_token(output *out, const plens_tokenizer *tokenizer, int32_t id,
                  const markup_tags *tags);

#endif
