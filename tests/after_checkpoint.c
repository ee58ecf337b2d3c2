/* Linked into the command for tests of runs that end before they are done: once the first
 * checkpoint has its name the command in $AFTER_CHECKPOINT is run, before the run goes on. So what
 * a test does to a run happens at a known moment, however busy the machine is. */
#define _POSIX_C_SOURCE 200809L

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In the place of the C library's. */
int rename(const char *from, const char *to) {
    static int done;
    const char *command = getenv("AFTER_CHECKPOINT"), *name = strrchr(to, '/');
    int result = renameat(AT_FDCWD, from, AT_FDCWD, to);
    if (result == 0 && command != NULL && name != NULL && strcmp(name, "/checkpoint") == 0 &&
        !done++)
        done += system(command) != 0;
    return result;
}
