#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE /* _SC_AVPHYS_PAGES is nobody's */

#include "tests/harness/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/harness/message.h"

enum { NOT_KNOWN = 0 }; /* of a limit: there is none */

static uint64_t least(uint64_t a, uint64_t b) {
    return a == NOT_KNOWN || (b != NOT_KNOWN && b < a) ? b : a;
}

/* The number that follows `name` at the beginning of a line, or the first of the file if name is
 * "": 1, or 0 if there is none (no such file; "max"). */
static int read_number(const char *path, const char *name, uint64_t *number) {
    char line[512];
    size_t length = strlen(name);
    int found = 0;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return 0;
    while (!found && fgets(line, sizeof line, file) != NULL) {
        unsigned long long value;
        if (strncmp(line, name, length) == 0 && sscanf(line + length, "%llu", &value) == 1) {
            *number = value;
            found = 1;
        }
    }
    fclose(file);
    return found;
}

/* What a control group still allows: its limit less what it holds, file pages aside that it can
 * drop. */
static uint64_t group_left(const char *folder, const char *limit, const char *usage,
                           const char *pages) {
    uint64_t most, used = 0, files = 0, left = NOT_KNOWN;
    char *path = join(folder, "/", limit, NULL);
    int limited = read_number(path, "", &most);
    free(path);
    if (!limited || most >= (uint64_t)1 << 60) /* version 1 has a huge number for no limit */
        return NOT_KNOWN;
    path = join(folder, "/", usage, NULL);
    read_number(path, "", &used);
    free(path);
    path = join(folder, "/memory.stat", NULL);
    read_number(path, pages, &files);
    free(path);
    used -= files < used ? files : used;
    left = most > used ? most - used : 1;
    return left;
}

/* The least of a group and of all groups above it; in a container that shows another path than it
 * has, of those that are there. */
static uint64_t groups_left(const char *root, const char *mount, const char *group, int version) {
    char *folder = join(root, mount, group, NULL);
    size_t top = strlen(root) + strlen(mount);
    uint64_t left = NOT_KNOWN;
    for (;;) {
        left =
            least(left, version == 2
                            ? group_left(folder, "memory.max", "memory.current", "inactive_file ")
                            : group_left(folder, "memory.limit_in_bytes", "memory.usage_in_bytes",
                                         "total_inactive_file "));
        char *slash = strrchr(folder, '/');
        if (strlen(folder) <= top || slash == NULL)
            break;
        *slash = '\0';
    }
    free(folder);
    return left;
}

/* /proc/self/cgroup has lines "0::/path" (version 2) and "N:controllers:/path" (version 1).
 * [man 7 cgroups] */
static uint64_t control_groups_left(const char *root) {
    char line[4096], *path = join(root, "/proc/self/cgroup", NULL);
    uint64_t left = NOT_KNOWN;
    FILE *file = fopen(path, "r");
    free(path);
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *group = controllers == NULL ? NULL : strchr(controllers + 1, ':');
        if (group == NULL)
            continue;
        *group++ = '\0';
        if (controllers[1] == '\0')
            left = least(left, groups_left(root, "/sys/fs/cgroup", group, 2));
        else if (strstr(controllers, "memory") != NULL)
            left = least(left, groups_left(root, "/sys/fs/cgroup/memory", group, 1));
    }
    if (file != NULL)
        fclose(file);
    return left;
}

static uint64_t system_left(const char *root) {
    uint64_t kibibytes, left = NOT_KNOWN;
    char *path = join(root, "/proc/meminfo", NULL);
    if (read_number(path, "MemAvailable:", &kibibytes))
        left = kibibytes << 10;
#ifdef _SC_AVPHYS_PAGES
    long pages = sysconf(_SC_AVPHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    if (left == NOT_KNOWN && pages > 0 && page > 0)
        left = (uint64_t)pages * (uint64_t)page;
#endif
    free(path);
    return left;
}

/* What the limit on address space leaves. */
static uint64_t limit_left(const char *root) {
#ifdef RLIMIT_AS
    struct rlimit limit;
    uint64_t pages = 0;
    long page = sysconf(_SC_PAGESIZE);
    char *path = join(root, "/proc/self/statm", NULL);
    read_number(path, "", &pages);
    free(path);
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && page > 0) {
        uint64_t used = pages * (uint64_t)page, most = (uint64_t)limit.rlim_cur;
        return most > used ? most - used : 1;
    }
#endif
    (void)root;
    return NOT_KNOWN;
}

uint64_t memory_available_below(const char *root) {
    return least(least(system_left(root), control_groups_left(root)), limit_left(root));
}

uint64_t memory_available(void) {
    return memory_available_below("");
}

uint64_t memory_resident(void) {
    unsigned long long all, resident = 0;
    long page = sysconf(_SC_PAGESIZE);
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%llu %llu", &all, &resident) != 2 || page <= 0)
        resident = 0;
    fclose(file);
    return resident * (uint64_t)page;
}
