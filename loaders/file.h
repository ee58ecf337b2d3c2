/* Files: the only place that talks to the operating system's file calls (file.c, POSIX). */
#ifndef PLENS_LOADERS_FILE_H
#define PLENS_LOADERS_FILE_H

#include "loaders/base.h"

typedef struct plens__file {
    const plens_allocator *allocator;
    char *path;
    int descriptor;
    uint64_t n_bytes;  /* when it was opened */
    const char *bytes; /* [n_bytes] once mapped, else NULL */
    int mapped;        /* 1: by mmap; 0: bytes is memory read in (the fallback) */
} plens__file;

/* Opens a regular file (symbolic links are followed). *file is filled only on success.
 * ERROR_IO names the path and the system's reason; a folder or device is an error, and so is the
 * pointer that Git LFS leaves in place of a file. */
plens_status plens__file_open(const plens_allocator *allocator, const char *path, plens__file *file,
                              plens_error *error);

/* Makes file->bytes valid: mmap, and where that fails a plain read into memory. An empty file
 * gives a valid pointer to nothing. */
plens_status plens__file_map(plens__file *file, plens_error *error);

/* Reads bytes [offset, offset + n) into to, with plain positional reads (thread-safe). A file that
 * has become shorter is ERROR_IO with path, offset and what was missing. */
plens_status plens__file_read(const plens__file *file, uint64_t offset, size_t n, void *to,
                              plens_error *error);

/* Tells the system that it need not keep these bytes in its cache. */
void plens__file_forget(const plens__file *file, uint64_t offset, size_t n);

void plens__file_close(plens__file *file); /* of an all-zero file: nothing */

/* The whole file in new memory, with a zero after its last byte. Reads, so that a file that is cut
 * short meanwhile is an error and not a signal. */
plens_status plens__file_load(const plens_allocator *allocator, const char *path, char **bytes,
                              size_t *n_bytes, plens_error *error);

/* folder + "/" + name in new memory, or NULL. */
char *plens__path_join(const plens_allocator *allocator, const char *folder, const char *name);

/* ERROR_IO, saying what is there instead, if path is no folder. */
plens_status plens__folder_check(const char *path, plens_error *error);

/* 1 if something is there under this name (a link that leads nowhere counts). */
int plens__file_exists(const char *path);

#endif
