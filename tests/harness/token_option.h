/* Tokens as they are named on the command line and in files: by their text, or by their id. */
#ifndef PLENS_HARNESS_TOKEN_OPTION_H
#define PLENS_HARNESS_TOKEN_OPTION_H

#include "tests/harness/session.h"

/* The one token whose text this is, byte for byte (" Paris" is another than "Paris"). EXIT_INPUT,
 * naming `place`, if there is none or if there are several. */
int token_find(session *s, const char *place, const char *text, int32_t *id);

/* The token with which any text begins, after a word if the text begins with a space, and how many
 * it is. EXIT_INPUT, naming `place`, if the text is empty or no UTF-8. */
int token_first(session *s, const char *place, const char *text, int32_t *id, size_t *n_tokens);

/* "1,2,3", each a row of the model's embedding. Free *ids with free(). */
int token_list(session *s, const char *place, const char *list, int32_t **ids, size_t *n_ids);

#endif
