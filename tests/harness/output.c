#include "tests/harness/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/system.h"

/* A name beside `path` that nobody has: DIR/.NAME.PROCESS-N.tmp */
static char *temporary_name(const char *path, int attempt) {
    const char *slash = strrchr(path, '/');
    size_t folder = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    char *name = allocate(strlen(path) + 64, 1);
    sprintf(name, "%.*s.%s.%ld-%d.tmp", (int)folder, path, path + folder, system_process(),
            attempt);
    return name;
}

int output_open(output *o, const char *path) {
    memset(o, 0, sizeof *o);
    o->path = system_follow(path); /* a link stays one: the file that it leads to is replaced */
    if (o->path == NULL)
        o->path = join(path, NULL);
    if (system_is_special(o->path)) {
        o->file = fopen(o->path, "wb");
    } else {
        for (int attempt = 0; o->file == NULL && attempt < 100; attempt++) {
            free(o->temporary);
            o->temporary = temporary_name(o->path, attempt);
            o->file = system_create(o->temporary);
            if (o->file == NULL && errno != EEXIST)
                break;
        }
    }
    if (o->file != NULL)
        return EXIT_DONE;
    int reason = errno;
    free(o->temporary); /* not ours to remove: it was never made */
    o->temporary = NULL;
    int code = fail_input("%s: cannot be written: %s", path, strerror(reason));
    output_discard(o);
    return code;
}

void output_standard(output *o) {
    memset(o, 0, sizeof *o);
    o->file = stdout;
    o->path = join("standard output", NULL);
}

static void note_failure(output *o) {
    if (o->reason == 0)
        o->reason = errno != 0 ? errno : EIO;
}

static int fail_output(output *o) {
    int code = fail_input("%s: cannot be written: %s", o->path, strerror(o->reason));
    output_discard(o);
    return code;
}

/* Closes the file if it is ours to close. */
static void close_file(output *o) {
    if (o->file != NULL && o->file != stdout && fclose(o->file) != 0)
        note_failure(o);
    o->file = NULL;
}

int output_finish(output *o) {
    errno = 0;
    if (fflush(o->file) != 0)
        note_failure(o);
    if (o->reason == 0 && o->temporary != NULL && system_sync(o->file) != 0)
        note_failure(o);
    close_file(o);
    return o->reason != 0 ? fail_output(o) : EXIT_DONE;
}

int output_publish(output *o) {
    if (o->temporary != NULL && rename(o->temporary, o->path) != 0) {
        note_failure(o);
        return fail_output(o);
    }
    free(o->temporary);
    o->temporary = NULL;
    output_discard(o);
    return EXIT_DONE;
}

void output_discard(output *o) {
    close_file(o);
    if (o->temporary != NULL)
        remove(o->temporary);
    free(o->temporary);
    free(o->path);
    memset(o, 0, sizeof *o);
}

void output_bytes(output *o, const void *bytes, size_t n_bytes) {
    errno = 0;
    if (o->reason == 0 && fwrite(bytes, 1, n_bytes, o->file) != n_bytes)
        note_failure(o);
    o->offset += n_bytes;
}

void output_format(output *o, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    errno = 0;
    int n = o->reason == 0 ? vfprintf(o->file, format, arguments) : 0;
    va_end(arguments);
    if (n < 0)
        note_failure(o);
    else
        o->offset += (uint64_t)n;
}

void output_seek(output *o, uint64_t offset) {
    errno = 0;
    if (o->offset != offset && o->reason == 0 && system_seek(o->file, offset) != 0)
        note_failure(o);
    o->offset = offset;
}

typedef size_t escape_fn(const char *bytes, size_t n_bytes, char *out, size_t capacity);

static void write_escaped(output *o, escape_fn *escape, const char *bytes, size_t n_bytes) {
    char few[256];
    size_t length = escape(bytes, n_bytes, few, sizeof few);
    if (length < sizeof few) {
        output_bytes(o, few, length);
        return;
    }
    char *many = allocate(length + 1, 1);
    escape(bytes, n_bytes, many, length + 1);
    output_bytes(o, many, length);
    free(many);
}

void output_cell(output *o, const char *bytes, size_t n_bytes) {
    write_escaped(o, plens_tsv_escape, bytes, n_bytes);
}

void output_json(output *o, const char *bytes, size_t n_bytes) {
    output_bytes(o, "\"", 1);
    write_escaped(o, plens_json_escape, bytes, n_bytes);
    output_bytes(o, "\"", 1);
}

void output_token(output *o, const plens_tokenizer *tokenizer, int32_t id) {
    size_t n_bytes = 0;
    const char *bytes = tokenizer == NULL ? NULL : plens_tokenizer_token(tokenizer, id, &n_bytes);
    if (bytes == NULL)
        output_format(o, "[%ld]", (long)id);
    else
        output_cell(o, bytes, n_bytes);
}

void output_place(output *o, int is_there, size_t number) {
    if (is_there)
        output_format(o, "\t%zu", number);
    else
        output_format(o, "\tNA");
}

static void write_words(output *o, const void *values, size_t count) {
    unsigned char bytes[4096];
    const size_t most = sizeof bytes / 4;
    for (size_t first = 0; first < count; first += most) {
        size_t n = count - first < most ? count - first : most;
        for (size_t i = 0; i < n; i++) {
            uint32_t word;
            memcpy(&word, (const char *)values + 4 * (first + i), 4);
            for (unsigned k = 0; k < 4; k++)
                bytes[4 * i + k] = (unsigned char)(word >> (8 * k));
        }
        output_bytes(o, bytes, 4 * n);
    }
}

void output_floats(output *o, const float *values, size_t count) {
    write_words(o, values, count);
}

void output_ids(output *o, const int32_t *ids, size_t count) {
    write_words(o, ids, count);
}
