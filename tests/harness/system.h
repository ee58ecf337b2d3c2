/* Everything that the program needs of POSIX: clock, terminal, signals, folders, durable files. */
#ifndef PLENS_HARNESS_SYSTEM_H
#define PLENS_HARNESS_SYSTEM_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Seconds of a clock that only goes forward. */
double system_seconds(void);

int system_is_terminal(FILE *file);

/* How many columns the terminal behind a file has; 0 where that is unknown. */
size_t system_columns(FILE *file);

/* From here on SIGINT and SIGTERM are only noted, so that a run can stop in good order; the same
 * signal a second time ends the program at once. A write past a file-size limit becomes an
 * ordinary error. */
void system_catch_signals(void);

/* The first signal that was noted, 0 if none. */
int system_stop_signal(void);

int system_exists(const char *path);

/* 1 if both exist and are one file or folder, whatever they are called. */
int system_is_same(const char *path, const char *other);

/* 1 if the path exists and is no regular file: a device, a pipe, a folder. */
int system_is_special(const char *path);

/* What a symbolic link leads to in the end, from malloc(); NULL if the path is no link or leads
 * nowhere. */
char *system_follow(const char *path);

/* Makes one folder: 0, or -1 with errno set. */
int system_make_folder(const char *path);
int system_remove_folder(const char *path);

/* Opens a new file for writing; NULL with errno EEXIST if the name is taken. */
FILE *system_create(const char *path);

/* Replaces a file, or makes it: NULL with errno set. */
FILE *system_replace(const char *path);

/* A file in memory: when it is closed *bytes [*count] is all that was written, free with free(). */
FILE *system_memory(char **bytes, size_t *count);

/* Removes the files of a folder whose names begin and end so. */
void system_remove_files(const char *folder, const char *first, const char *last);

/* A number that no other process running now has. */
long system_process(void);

/* Waits until a file's bytes (a folder's names) are on the disk: 0, or -1 with errno set. Files
 * and folders that cannot do this count as done. */
int system_sync(FILE *file);
int system_sync_folder(const char *path);

int system_seek(FILE *file, uint64_t offset);

#endif
