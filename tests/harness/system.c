#define _POSIX_C_SOURCE   200809L
#define _FILE_OFFSET_BITS 64
#define _DEFAULT_SOURCE   /* SIGXFSZ is X/Open's, TIOCGWINSZ nobody's */
#define _DARWIN_C_SOURCE

#include "tests/harness/system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

double system_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int system_is_terminal(FILE *file) {
    return isatty(fileno(file));
}

size_t system_columns(FILE *file) {
#ifdef TIOCGWINSZ
    struct winsize size;
    if (ioctl(fileno(file), TIOCGWINSZ, &size) == 0)
        return size.ws_col;
#endif
    (void)file;
    return 0;
}

static volatile sig_atomic_t stop_signal;

static void note_signal(int signal) {
    stop_signal = signal;
}

void system_catch_signals(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = note_signal;
    action.sa_flags = (int)(SA_RESETHAND | SA_RESTART);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN;
    action.sa_flags = 0;
    sigaction(SIGXFSZ, &action, NULL);
}

int system_stop_signal(void) {
    return stop_signal;
}

int system_exists(const char *path) {
    struct stat about;
    return lstat(path, &about) == 0;
}

int system_is_same(const char *path, const char *other) {
    struct stat a, b;
    return stat(path, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

int system_is_special(const char *path) {
    struct stat about;
    return stat(path, &about) == 0 && !S_ISREG(about.st_mode);
}

char *system_follow(const char *path) {
    struct stat about;
    return lstat(path, &about) == 0 && S_ISLNK(about.st_mode) ? realpath(path, NULL) : NULL;
}

int system_make_folder(const char *path) {
    return mkdir(path, 0777);
}

int system_remove_folder(const char *path) {
    return rmdir(path);
}

FILE *system_create(const char *path) {
    int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (descriptor < 0)
        return NULL;
    FILE *file = fdopen(descriptor, "wb");
    if (file == NULL)
        close(descriptor);
    return file;
}

FILE *system_replace(const char *path) {
    remove(path);
    return system_create(path);
}

FILE *system_memory(char **bytes, size_t *count) {
    return open_memstream(bytes, count);
}

void system_remove_files(const char *folder, const char *first, const char *last) {
    size_t n_first = strlen(first), n_last = strlen(last);
    DIR *list = opendir(folder);
    for (struct dirent *entry; list != NULL && (entry = readdir(list)) != NULL;) {
        const char *name = entry->d_name;
        size_t length = strlen(name);
        if (length >= n_first + n_last && strncmp(name, first, n_first) == 0 &&
            strcmp(name + length - n_last, last) == 0)
            unlinkat(dirfd(list), name, 0);
    }
    if (list != NULL)
        closedir(list);
}

long system_process(void) {
    return (long)getpid();
}

static int sync_descriptor(int descriptor) {
    if (fsync(descriptor) == 0 || errno == EINVAL || errno == EROFS || errno == ENOTSUP)
        return 0;
    return -1;
}

int system_sync(FILE *file) {
    return sync_descriptor(fileno(file));
}

int system_sync_folder(const char *path) {
    int descriptor = open(path, O_RDONLY);
    if (descriptor < 0)
        return errno == EACCES ? 0 : -1; /* a folder that one may write into but not list */
    int result = sync_descriptor(descriptor);
    close(descriptor);
    return result;
}

int system_seek(FILE *file, uint64_t offset) {
    return fseeko(file, (off_t)offset, SEEK_SET);
}
