#include "tests/harness/input.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/harness/message.h"

int input_read(const char *path, const char *hint, char **bytes, size_t *count) {
    *bytes = NULL;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return fail_input("%s: cannot be read: %s%s", path, strerror(errno), hint);
    size_t capacity = 65536, n;
    *bytes = allocate(capacity, 1);
    *count = 0;
    while ((n = fread(*bytes + *count, 1, capacity - *count - 1, file)) > 0) {
        *count += n;
        if (capacity - *count < 2)
            *bytes = reallocate(*bytes, capacity *= 2, 1);
    }
    int reason = ferror(file) ? errno : 0;
    fclose(file);
    (*bytes)[*count] = '\0';
    return reason == 0 ? EXIT_DONE : fail_input("%s: cannot be read: %s", path, strerror(reason));
}

/* Strings of JSON hold no line feed, so the text searched for stands nowhere else. */
int input_cut_run_json(char *text, char **machine) {
    static const char boundary[] = "\n  \"machine\": ";
    char *at = strstr(text, boundary);
    if (at == NULL)
        return 0;
    *at = '\0';
    *machine = at + sizeof boundary - 1;
    return 1;
}
