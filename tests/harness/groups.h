/* Groups of tokens from a TSV: the column group, and one of the columns id (a token's), token (its
 * text, byte for byte) and text (any text: its first token stands for it). */
#ifndef PLENS_HARNESS_GROUPS_H
#define PLENS_HARNESS_GROUPS_H

#include "tests/harness/session.h"

typedef struct groups {
    char **names;       /* [n_groups], in the order in which the file names them first */
    plens_group *items; /* [n_groups] */
    size_t n_groups;
} groups;

/* Returns EXIT_DONE, or EXIT_INPUT with file and line said. Free in either case. */
int groups_read(session *s, const char *path, groups *g);
void groups_free(groups *g);

#endif
