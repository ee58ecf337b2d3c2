/* A temporary folder for tests that need files, and safetensors files to put into it. POSIX. */
#ifndef PLENS_TESTS_FOLDER_H
#define PLENS_TESTS_FOLDER_H

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Makes an empty folder and writes its name to path [1024]; ends the program where it cannot. */
static inline void folder_make(char *path) {
    const char *base = getenv("TMPDIR");
    snprintf(path, 1024, "%s/plens-test-XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(path) == NULL) {
        perror(path);
        exit(1);
    }
}

/* Removes it with the files in it (there are no folders in it). */
static inline void folder_remove(const char *path) {
    DIR *listing = opendir(path);
    struct dirent *entry;
    while (listing != NULL && (entry = readdir(listing)) != NULL) {
        char name[2048];
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        unlink(name); /* fails for "." and "..", as it should */
    }
    if (listing != NULL)
        closedir(listing);
    rmdir(path);
}

static inline void folder_remove_file(const char *folder, const char *name) {
    char path[2048];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    unlink(path);
}

static inline void folder_write(const char *folder, const char *name, const void *bytes, size_t n) {
    char path[2048];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes, 1, n, file) != n || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

static inline void folder_write_text(const char *folder, const char *name, const char *text) {
    folder_write(folder, name, text, strlen(text));
}

/* A safetensors file: the header's length, the header, n_data bytes 0, 1, 2, … 255, 0, … */
static inline void folder_write_safetensors(const char *folder, const char *name,
                                            const char *header, size_t n_data) {
    size_t n_header = strlen(header);
    unsigned char *bytes = malloc(8 + n_header + n_data);
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (unsigned char)((uint64_t)n_header >> 8 * i);
    memcpy(bytes + 8, header, n_header);
    for (size_t i = 0; i < n_data; i++)
        bytes[8 + n_header + i] = (unsigned char)i;
    folder_write(folder, name, bytes, 8 + n_header + n_data);
    free(bytes);
}

#endif
