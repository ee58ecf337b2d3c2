/* Runs a command and writes what it took, as the kernel counts it, to a file of lines "key value":
 * seconds, cpu_seconds, peak_bytes (resident memory, file pages that are mapped included) and
 * read_bytes (from the disk, not from the page cache). Exits as the command does.
 *
 *     measure OUT COMMAND [ARGUMENT…]
 */
#define _DEFAULT_SOURCE /* wait4 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double seconds(struct timeval t) {
    return (double)t.tv_sec + 1e-6 * (double)t.tv_usec;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: measure OUT COMMAND [ARGUMENT...]\n");
        return 2;
    }
    double begin = now();
    pid_t child = fork();
    if (child == 0) {
        execvp(argv[2], argv + 2);
        fprintf(stderr, "measure: %s: %s\n", argv[2], strerror(errno));
        _exit(127);
    }
    struct rusage used;
    int status = 0;
    pid_t found = -1;
    while (child > 0 && (found = wait4(child, &status, 0, &used)) < 0 && errno == EINTR)
        ;
    FILE *out = found == child ? fopen(argv[1], "w") : NULL;
    if (out == NULL) {
        fprintf(stderr, "measure: %s: %s\n", argv[1], strerror(errno));
        return 3;
    }
#ifdef __APPLE__
    long unit = 1; /* of ru_maxrss */
#else
    long unit = 1024;
#endif
    fprintf(out, "seconds %.3f\ncpu_seconds %.3f\npeak_bytes %lld\nread_bytes %lld\n",
            now() - begin, seconds(used.ru_utime) + seconds(used.ru_stime),
            (long long)used.ru_maxrss * unit, (long long)used.ru_inblock * 512);
    if (fclose(out) != 0)
        return 3;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
