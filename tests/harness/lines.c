#include "tests/harness/lines.h"

#include <stdlib.h>

#include "tests/harness/message.h"

int line_next(line_reader *line, FILE *file) {
    int byte;
    line->count = 0;
    for (;;) {
        if (line->count == line->capacity) {
            line->capacity = line->capacity == 0 ? 4096 : 2 * line->capacity;
            line->bytes = reallocate(line->bytes, line->capacity, 1);
        }
        byte = getc(file);
        if (byte == EOF || byte == '\n')
            break;
        line->bytes[line->count++] = (char)byte;
    }
    if (byte == EOF && line->count == 0)
        return 0;
    if (line->count > 0 && line->bytes[line->count - 1] == '\r')
        line->count--;
    line->bytes[line->count] = '\0';
    return 1;
}

void line_free(line_reader *line) {
    free(line->bytes);
}
