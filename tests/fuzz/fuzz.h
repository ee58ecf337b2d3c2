/* What the fuzz targets share. A target is one file with LLVMFuzzerTestOneInput: `make fuzz` links
 * it to clang's libFuzzer, `make test` to replay.c, which feeds it tests/fuzz/corpus/NAME. A broken
 * promise aborts. */
#ifndef PLENS_TESTS_FUZZ_H
#define PLENS_TESTS_FUZZ_H

#define _XOPEN_SOURCE 700 /* mkdtemp */

#include "loaders/utf8.h"
#include "tests/folder.h"
#include "tests/heap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Returns 1 if a call succeeded; a failure must tell its story in one line of UTF-8. */
static inline int fuzz_ok(plens_status status, const plens_error *error) {
    size_t n;
    if (status == PLENS_OK)
        return 1;
    n = strlen(error->message);
    FUZZ_CHECK(error->status == status && n > 0 && n < sizeof error->message);
    FUZZ_CHECK(strpbrk(error->message, "\n\r\t") == NULL);
    FUZZ_CHECK(plens__utf8_check(error->message, n) == n);
    return 0;
}

static char fuzz_folder_path[1024];

static inline void fuzz_folder_remove(void) {
    folder_remove(fuzz_folder_path);
}

/* The target's folder for files, made at the first call and removed at the end. */
static inline const char *fuzz_folder(void) {
    if (fuzz_folder_path[0] == 0) {
        folder_make(fuzz_folder_path);
        atexit(fuzz_folder_remove);
    }
    return fuzz_folder_path;
}

/* A new file each time: some file systems wait for the disk when a file is cut and written anew. */
static inline void fuzz_write(const char *name, const void *bytes, size_t n) {
    folder_remove_file(fuzz_folder(), name);
    folder_write(fuzz_folder(), name, bytes, n);
}

/* Some inputs are two texts with a zero byte between them. Returns the length of the first one;
 * *second [*n_second] is the rest, empty where there is no zero byte. */
static inline size_t fuzz_halves(const uint8_t *data, size_t n, const char **second,
                                 size_t *n_second) {
    const uint8_t *zero = n > 0 ? memchr(data, 0, n) : NULL;
    size_t n_first = zero != NULL ? (size_t)(zero - data) : n;
    *second = zero != NULL ? (const char *)zero + 1 : "";
    *n_second = zero != NULL ? n - n_first - 1 : 0;
    return n_first;
}

#endif
