/* POSIX: the calls that C99 does not have. */
#define _POSIX_C_SOURCE   200809L
#define _FILE_OFFSET_BITS 64

#include "loaders/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The system's reason in words that do not depend on the locale (as strerror's do). */
static plens_status fail_system(plens_error *error, const char *path, const char *what, int code) {
    static const struct {
        int code;
        const char *text;
    } reasons[] = {
        {ENOENT, "no such file or folder"},
        {ENOTDIR, "a part of the path is no folder"},
        {EACCES, "permission denied"},
        {EPERM, "operation not permitted"},
        {EIO, "input/output error"},
        {ELOOP, "too many symbolic links"},
        {EMFILE, "too many open files in this process"},
        {ENFILE, "too many open files in the system"},
        {ENAMETOOLONG, "the name is too long"},
        {EOVERFLOW, "the file is too large"},
        {ENXIO, "no such device"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (reasons[i].code == code)
            return plens__fail(error, PLENS_ERROR_IO, "%s: cannot %s: %s", path, what,
                               reasons[i].text);
    }
    return plens__fail(error, PLENS_ERROR_IO, "%s: cannot %s: system error %d", path, what, code);
}

/* O_NONBLOCK: opening a FIFO must not wait for a writer. */
static int open_retrying(const char *path) {
    int descriptor;
    do
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    while (descriptor < 0 && errno == EINTR);
    return descriptor;
}

/* What a clone without Git LFS leaves in place of a large file: a few lines that begin so. The Hub
 * keeps weights and large tokenizers in it. [Git LFS, docs/spec.md] */
static int is_lfs_pointer(int descriptor, off_t n_bytes) {
    static const char start[] = "version https://git-lfs.github.com/spec/";
    const size_t n = sizeof start - 1;
    char found[sizeof start];
    return n_bytes >= (off_t)n && n_bytes < 1024 && pread(descriptor, found, n, 0) == (ssize_t)n &&
           memcmp(found, start, n) == 0;
}

plens_status plens__file_open(const plens_allocator *allocator, const char *path, plens__file *file,
                              plens_error *error) {
    int descriptor = open_retrying(path);
    if (descriptor < 0)
        return fail_system(error, path, "open", errno);
    plens_status status = PLENS_OK;
    struct stat about;
    char *copy = NULL;
    if (fstat(descriptor, &about) != 0)
        status = fail_system(error, path, "examine", errno);
    else if (!S_ISREG(about.st_mode))
        status = plens__fail(error, PLENS_ERROR_IO, "%s: expected a file, found %s", path,
                             S_ISDIR(about.st_mode) ? "a folder" : "a device, pipe or socket");
    else if (is_lfs_pointer(descriptor, about.st_size))
        status = plens__fail(error, PLENS_ERROR_FORMAT,
                             "%s: expected the file itself, found the pointer of Git LFS to it "
                             "(git lfs pull fetches it)",
                             path);
    else if ((copy = plens__alloc(allocator, strlen(path) + 1)) == NULL)
        status = plens__fail_memory(error, strlen(path) + 1, path);
    if (status != PLENS_OK) {
        close(descriptor);
        return status;
    }
    memcpy(copy, path, strlen(path) + 1);
    memset(file, 0, sizeof *file);
    file->allocator = allocator;
    file->path = copy;
    file->descriptor = descriptor;
    file->n_bytes = (uint64_t)about.st_size;
    return PLENS_OK;
}

/* All of the file by plain reads, into new memory (also for an empty file). */
static plens_status read_all(const plens__file *file, char **bytes, plens_error *error) {
    char *all =
        file->n_bytes < SIZE_MAX ? plens__alloc(file->allocator, (size_t)file->n_bytes + 1) : NULL;
    if (all == NULL)
        return plens__fail(error, PLENS_ERROR_MEMORY, "out of memory: %" PRIu64 " bytes for %s",
                           file->n_bytes, file->path);
    plens_status status = plens__file_read(file, 0, (size_t)file->n_bytes, all, error);
    if (status != PLENS_OK) {
        plens__free(file->allocator, all);
        return status;
    }
    all[file->n_bytes] = 0;
    *bytes = all;
    return PLENS_OK;
}

plens_status plens__file_map(plens__file *file, plens_error *error) {
    if (file->bytes != NULL)
        return PLENS_OK;
    if (file->n_bytes > 0 && file->n_bytes <= SIZE_MAX) { /* mmap refuses an empty range */
        void *map = mmap(NULL, (size_t)file->n_bytes, PROT_READ, MAP_SHARED, file->descriptor, 0);
        if (map != MAP_FAILED) {
            file->bytes = map;
            file->mapped = 1;
            return PLENS_OK;
        }
    }
    char *bytes;
    plens_status status = read_all(file, &bytes, error);
    if (status == PLENS_OK)
        file->bytes = bytes;
    return status;
}

plens_status plens__file_read(const plens__file *file, uint64_t offset, size_t n, void *to,
                              plens_error *error) {
    size_t done = 0;
    while (done < n) {
        uint64_t at = offset + done;
        size_t chunk = n - done < (size_t)1 << 30 ? n - done : (size_t)1 << 30;
        ssize_t got = pread(file->descriptor, (char *)to + done, chunk, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_system(error, file->path, "read", errno);
        if (got == 0)
            return plens__fail(error, PLENS_ERROR_IO,
                               "%s: expected %zu bytes from byte %" PRIu64 ", found %zu: the file "
                               "has become shorter than its %" PRIu64 " bytes",
                               file->path, n, offset, done, file->n_bytes);
        done += (size_t)got;
    }
    return PLENS_OK;
}

/* Only whole pages, of up to 2 MiB, are dropped: the one in which the bytes begin was begun by what
 * lies before. */
void plens__file_forget(const plens__file *file, uint64_t offset, size_t n) {
#ifdef POSIX_FADV_DONTNEED
    uint64_t first = offset >> 21 << 21;
    (void)posix_fadvise(file->descriptor, (off_t)first, (off_t)(offset + n - first),
                        POSIX_FADV_DONTNEED);
#else
    (void)file;
    (void)offset;
    (void)n;
#endif
}

void plens__file_close(plens__file *file) {
    if (file->path == NULL)
        return;
    if (file->mapped)
        munmap((void *)(uintptr_t)file->bytes, (size_t)file->n_bytes);
    else
        plens__free(file->allocator, (void *)(uintptr_t)file->bytes);
    close(file->descriptor);
    plens__free(file->allocator, file->path);
    memset(file, 0, sizeof *file);
}

plens_status plens__file_load(const plens_allocator *allocator, const char *path, char **bytes,
                              size_t *n_bytes, plens_error *error) {
    plens__file file;
    plens_status status = plens__file_open(allocator, path, &file, error);
    if (status != PLENS_OK)
        return status;
    status = read_all(&file, bytes, error);
    if (status == PLENS_OK)
        *n_bytes = (size_t)file.n_bytes;
    plens__file_close(&file);
    return status;
}

char *plens__path_join(const plens_allocator *allocator, const char *folder, const char *name) {
    size_t folder_length = strlen(folder), name_length = strlen(name), bytes;
    if (!plens__add(folder_length, name_length, &bytes) || !plens__add(bytes, 2, &bytes))
        return NULL;
    char *path = plens__alloc(allocator, bytes);
    if (path == NULL)
        return NULL;
    memcpy(path, folder, folder_length);
    path[folder_length] = '/';
    memcpy(path + folder_length + 1, name, name_length + 1);
    return path;
}

plens_status plens__folder_check(const char *path, plens_error *error) {
    struct stat about;
    if (stat(path, &about) != 0)
        return fail_system(error, path, "open", errno);
    if (!S_ISDIR(about.st_mode))
        return plens__fail(error, PLENS_ERROR_IO, "%s: expected a folder, found a file", path);
    return PLENS_OK;
}

int plens__file_exists(const char *path) {
    struct stat about;
    return lstat(path, &about) == 0;
}
