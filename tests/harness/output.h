/* Files that appear whole or not at all: written under another name in the same folder, brought to
 * the disk, then renamed. The first failure of a write is remembered and told at the end. */
#ifndef PLENS_HARNESS_OUTPUT_H
#define PLENS_HARNESS_OUTPUT_H

#include <stdio.h>

#include "plens.h"
#include "tests/harness/message.h"

typedef struct output {
    FILE *file;
    char *path;      /* the final name, for messages too */
    char *temporary; /* NULL: standard output, or a device that cannot be renamed to */
    int reason;      /* errno of the first failure, 0 if none */
    uint64_t offset; /* of the next byte */
} output;

/* All return EXIT_DONE, or EXIT_INPUT with path and reason said (everything discarded). */
int output_open(output *o, const char *path);
int output_finish(output *o);  /* the bytes are on the disk, still under the temporary name */
int output_publish(output *o); /* gives a finished file its name and frees all */

/* Standard output as an output: finish and publish flush it. */
void output_standard(output *o);

/* Removes what was written; harmless after publish and on an output that is all zero. */
void output_discard(output *o);

void output_bytes(output *o, const void *bytes, size_t n_bytes);
void output_format(output *o, const char *format, ...) PRINTF_LIKE(2, 3);
void output_seek(output *o, uint64_t offset);

/* Text as a TSV cell, and as a JSON string with its quotes. */
void output_cell(output *o, const char *bytes, size_t n_bytes);
void output_json(output *o, const char *bytes, size_t n_bytes);

/* The bytes of a token as a TSV cell, "[N]" for an id without one (or without a tokenizer). */
void output_token(output *o, const plens_tokenizer *tokenizer, int32_t id);

/* A tab and a number, NA unless there is one. */
void output_place(output *o, int is_there, size_t number);

/* Values of four bytes each, little-endian whatever the machine. */
void output_floats(output *o, const float *values, size_t count);
void output_ids(output *o, const int32_t *ids, size_t count);

#endif
