/* What plens merge reads: the folder that plens score --shard I/N wrote. */
#ifndef PLENS_HARNESS_PIECE_H
#define PLENS_HARNESS_PIECE_H

#include "tests/harness/shard.h"

/* A text file in memory, cut into lines that end in zero bytes. */
typedef struct lines {
    char *path, *bytes;
    char **items; /* [count] */
    size_t count;
} lines;

/* One shard's folder. */
typedef struct piece {
    const char *folder;
    char *run_json;      /* cut in two before `"machine"` */
    const char *machine; /* the second half, from its brace to its brace */
    lines about;         /* shard.tsv */
    size_t first_prompt; /* the line of `about` that names the first prompt */
    shard shard;
    lines prompts, layers; /* header first */
} piece;

/* Reads a folder's files. Returns EXIT_DONE, or EXIT_INPUT and the mistake said; piece_free in
 * either case. */
int piece_read(piece *p, const char *folder);
void piece_free(piece *p);

/* The value of line i of shard.tsv if it has this key, else NULL. */
const char *piece_value(const piece *p, size_t i, const char *key);

/* EXIT_DONE if both are of one run, else EXIT_INPUT and the difference said. */
int piece_check_like(const piece *p, const piece *first);

#endif
