/* loaders/file.c, compiled here with mmap and pread as the tests want them to behave. */
#define _POSIX_C_SOURCE   200809L
#define _FILE_OFFSET_BITS 64
#define _XOPEN_SOURCE     700
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

static int refuse_mmap;      /* mmap fails, as on file systems without it */
static size_t pread_at_most; /* bytes that a read gives at once; 0: as many as asked for */
static int pread_fails;      /* with this errno */
static int interruptions;    /* reads that a signal interrupts first */

static void *test_mmap(void *at, size_t n, int protection, int flags, int file, off_t offset) {
    if (!refuse_mmap)
        return mmap(at, n, protection, flags, file, offset);
    errno = ENODEV;
    return MAP_FAILED;
}

static ssize_t test_pread(int file, void *to, size_t n, off_t offset) {
    if (interruptions > 0 || pread_fails != 0) {
        errno = interruptions > 0 ? EINTR : pread_fails;
        interruptions -= interruptions > 0;
        return -1;
    }
    return pread(file, to, pread_at_most > 0 && n > pread_at_most ? pread_at_most : n, offset);
}

#define mmap  test_mmap
#define pread test_pread
#include "loaders/file.c"
#undef mmap
#undef pread

#include "tests/faults.h"
#include "tests/folder.h"
#include "tests/heap.h"
#include "tests/test.h"

static char folder[1024], path[2048];
static plens_error failure;

/* Guards both ways of mapping, also of nothing, and that closing gives everything back. */
static void files_are_mapped_or_read(void) {
    static const char text[] = "0123456789";
    for (int i = 0; i < 4; i++) {
        faults state = {0, 0, 0, 0};
        plens_allocator allocator = {faults_reallocate, &state};
        plens__file file;
        size_t n = i % 2 == 0 ? 10 : 0;
        refuse_mmap = i >= 2;
        folder_write(folder, "f", text, n);
        CHECK_OK(plens__file_open(&allocator, path, &file, &failure), failure);
        CHECK_INT(file.n_bytes, n);
        CHECK(file.bytes == NULL);
        CHECK_OK(plens__file_map(&file, &failure), failure);
        CHECK(file.bytes != NULL && memcmp(file.bytes, text, n) == 0);
        CHECK_INT(file.mapped, i == 0);
        const char *bytes = file.bytes;
        CHECK_OK(plens__file_map(&file, &failure), failure); /* again: nothing changes */
        CHECK(file.bytes == bytes);
        plens__file_close(&file);
        plens__file_close(&file); /* now all zero */
        CHECK_INT(state.outstanding, 0);
    }
    refuse_mmap = 0;
}

/* Guards against a clone without Git LFS being called a broken header or JSON. */
static void pointers_of_git_lfs_are_named(void) {
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n";
    plens__file file;
    folder_write(folder, "f", pointer, sizeof pointer - 1);
    CHECK_INT(plens__file_open(&heap, path, &file, &failure), PLENS_ERROR_FORMAT);
    CHECK_CONTAINS(failure.message, "/f: expected the file itself, found the pointer of Git LFS");
    folder_write(folder, "f", pointer, 20); /* the beginning of one is none */
    CHECK_OK(plens__file_open(&heap, path, &file, &failure), failure);
    plens__file_close(&file);
}

/* Guards reads that come in pieces, are interrupted, fail, or meet the end too early. */
static void reads_are_whole_or_an_error(void) {
    plens__file file;
    char bytes[8];
    folder_write(folder, "f", "0123456789", 10);
    CHECK_OK(plens__file_open(&heap, path, &file, &failure), failure);
    pread_at_most = 3;
    interruptions = 2;
    CHECK_OK(plens__file_read(&file, 1, 8, bytes, &failure), failure);
    CHECK(memcmp(bytes, "12345678", 8) == 0);
    CHECK_INT(plens__file_read(&file, 5, 8, bytes, &failure), PLENS_ERROR_IO);
    CHECK_CONTAINS(failure.message,
                   "/f: expected 8 bytes from byte 5, found 5: the file has become "
                   "shorter than its 10 bytes");
    pread_at_most = 0;
    pread_fails = EIO;
    CHECK_INT(plens__file_read(&file, 0, 8, bytes, &failure), PLENS_ERROR_IO);
    CHECK_CONTAINS(failure.message, "/f: cannot read: input/output error");
    pread_fails = 0;
    plens__file_close(&file);
}

/* Guards against waiting for a pipe's other end, and against reading folders and devices. */
static void only_regular_files_are_opened(void) {
    plens__file file;
    char name[2048];
    CHECK_INT(plens__file_open(&heap, folder, &file, &failure), PLENS_ERROR_IO);
    CHECK_CONTAINS(failure.message, "expected a file, found a folder");
    CHECK_INT(plens__file_open(&heap, "/dev/null", &file, &failure), PLENS_ERROR_IO);
    CHECK_CONTAINS(failure.message, "/dev/null: expected a file, found a device, pipe or socket");
    snprintf(name, sizeof name, "%s/pipe", folder);
    CHECK_INT(mkfifo(name, 0600), 0);
    CHECK_INT(plens__file_open(&heap, name, &file, &failure), PLENS_ERROR_IO);
    CHECK_CONTAINS(failure.message, "found a device, pipe or socket");
    snprintf(name, sizeof name, "%s/none/f", folder);
    CHECK_INT(plens__file_open(&heap, name, &file, &failure), PLENS_ERROR_IO);
    CHECK_CONTAINS(failure.message, "/none/f: cannot open: no such file or folder");
    folder_write(folder, "f", "", 0);
    snprintf(name, sizeof name, "%s/f/f", folder);
    CHECK_INT(plens__file_open(&heap, name, &file, &failure), PLENS_ERROR_IO);
    CHECK_CONTAINS(failure.message, "a part of the path is no folder");
}

/* Guards the small helpers: a link that leads nowhere exists, a file is no folder. */
static void names_are_told_apart(void) {
    char name[2048];
    snprintf(name, sizeof name, "%s/link", folder);
    CHECK_INT(symlink("nowhere", name), 0);
    CHECK(plens__file_exists(name) && plens__file_exists(folder));
    snprintf(name, sizeof name, "%s/nothing", folder);
    CHECK(!plens__file_exists(name));
    CHECK_OK(plens__folder_check(folder, &failure), failure);
    CHECK_INT(plens__folder_check(name, &failure), PLENS_ERROR_IO);
    CHECK_CONTAINS(failure.message, "/nothing: cannot open: no such file or folder");
    CHECK_INT(plens__folder_check(path, &failure), PLENS_ERROR_IO);
    CHECK_CONTAINS(failure.message, "/f: expected a folder, found a file");
    char *joined = plens__path_join(&heap, "a/b", "c");
    CHECK_STRING(joined, "a/b/c");
    plens__free(&heap, joined);
}

static plens_status load_and_map(const plens_allocator *allocator, void *data, plens_error *error) {
    plens__file file;
    char *bytes;
    size_t n;
    plens_status status = plens__file_load(allocator, data, &bytes, &n, error);
    if (status != PLENS_OK)
        return status;
    plens__free(allocator, bytes);
    status = plens__file_open(allocator, data, &file, error);
    if (status != PLENS_OK)
        return status;
    status = plens__file_map(&file, error);
    plens__file_close(&file);
    return status;
}

/* Guards against leaks where memory runs out, with mmap and in its absence; and a loaded file's
 * closing zero. */
static void running_out_of_memory_is_an_error(void) {
    folder_write(folder, "f", "0123456789", 10);
    for (refuse_mmap = 0; refuse_mmap < 2; refuse_mmap++) {
        const char *problem = faults_sweep(load_and_map, path);
        CHECK_THAT(problem == NULL, "%s", problem);
    }
    refuse_mmap = 0;
    char *bytes;
    size_t n;
    CHECK_OK(plens__file_load(&heap, path, &bytes, &n, &failure), failure);
    CHECK_INT(n, 10);
    CHECK_STRING(bytes, "0123456789");
    plens__free(&heap, bytes);
}

int main(void) {
    folder_make(folder);
    snprintf(path, sizeof path, "%s/f", folder);
    RUN(files_are_mapped_or_read);
    RUN(pointers_of_git_lfs_are_named);
    RUN(reads_are_whole_or_an_error);
    RUN(only_regular_files_are_opened);
    RUN(names_are_told_apart);
    RUN(running_out_of_memory_is_an_error);
    folder_remove(folder);
    return test_finish();
}
