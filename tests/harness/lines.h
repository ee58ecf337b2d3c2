/* Text files line by line. */
#ifndef PLENS_HARNESS_LINES_H
#define PLENS_HARNESS_LINES_H

#include <stddef.h>
#include <stdio.h>

typedef struct line_reader {
    char *bytes; /* of the line read last, zero-terminated; NULL before the first */
    size_t count, capacity;
} line_reader;

/* Reads a line of any length without its LF or CRLF. Returns 0 at the end of the input. */
int line_next(line_reader *line, FILE *file);
void line_free(line_reader *line);

#endif
