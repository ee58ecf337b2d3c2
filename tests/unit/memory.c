/* The memory that a machine can spare, from files as Linux has them [man 5 proc, man 7 cgroups].
 * The program's own sources are taken in whole: it is no library. */
#include "tests/harness/system.c"
#undef _DEFAULT_SOURCE /* each asks for it */

#include "tests/harness/memory.c"
#include "tests/harness/message.c"
#include "tests/test.h"

static char root[64];

/* Makes root/path with its folders. */
static int put(const char *path, const char *text) {
    char name[512];
    size_t length = (size_t)snprintf(name, sizeof name, "%s%s", root, path);
    for (size_t i = strlen(root) + 1; i < length; i++) {
        if (name[i] != '/')
            continue;
        name[i] = '\0';
        mkdir(name, 0777);
        name[i] = '/';
    }
    FILE *file = fopen(name, "w");
    return file != NULL && fputs(text, file) >= 0 && fclose(file) == 0;
}

static void remove_root(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    if (system(command) != 0)
        test_bad = 1;
}

static int make_root(void) {
    strcpy(root, "/tmp/plens-test-XXXXXX");
    return mkdtemp(root) != NULL;
}

/* Guards against kilobytes taken for bytes, and MemFree for MemAvailable. */
static void what_the_system_has(void) {
    CHECK(make_root());
    CHECK(memory_available_below(root) > 0); /* no /proc: POSIX's own count */
    CHECK(put("/proc/meminfo", "MemTotal:  9000 kB\nMemFree: 77 kB\nMemAvailable:   1000 kB\n"));
    CHECK_INT(memory_available_below(root), 1024000);
    remove_root();
}

/* Guards against a container's limit that is overlooked, its own file pages counted against it, and
 * the limit of a group above. */
static void what_groups_allow(void) {
    CHECK(make_root());
    CHECK(put("/proc/meminfo", "MemAvailable: 1000 kB\n"));
    CHECK(put("/proc/self/cgroup", "0::/a/b\n"));
    CHECK_INT(memory_available_below(root), 1024000); /* the path is not there */
    CHECK(put("/sys/fs/cgroup/a/b/memory.max", "max\n"));
    CHECK(put("/sys/fs/cgroup/a/memory.max", "500000\n"));
    CHECK(put("/sys/fs/cgroup/a/memory.current", "300000\n"));
    CHECK(put("/sys/fs/cgroup/a/memory.stat", "anon 200000\ninactive_file 100000\n"));
    CHECK_INT(memory_available_below(root), 300000);
    CHECK(put("/sys/fs/cgroup/a/b/memory.max", "250000\n"));
    CHECK_INT(memory_available_below(root), 250000);
    CHECK(put("/sys/fs/cgroup/memory.max", "200000\n")); /* a container sees its group as the top */
    CHECK_INT(memory_available_below(root), 200000);
    CHECK(put("/sys/fs/cgroup/a/memory.current", "900000\n"));
    CHECK_INT(memory_available_below(root), 1); /* nothing left is not "not known" */
    remove_root();
}

/* Guards against the older files, whose number for "no limit" is huge. */
static void what_version_1_allows(void) {
    CHECK(make_root());
    CHECK(put("/proc/meminfo", "MemAvailable: 1000 kB\n"));
    CHECK(put("/proc/self/cgroup", "12:cpu,cpuacct:/x\n5:memory:/job\n"));
    CHECK(put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"));
    CHECK(put("/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "600000\n"));
    CHECK(put("/sys/fs/cgroup/memory/job/memory.usage_in_bytes", "400000\n"));
    CHECK(put("/sys/fs/cgroup/memory/job/memory.stat", "cache 1\ntotal_inactive_file 50000\n"));
    CHECK_INT(memory_available_below(root), 250000);
    remove_root();
}

int main(void) {
    RUN(what_the_system_has);
    RUN(what_groups_allow);
    RUN(what_version_1_allows);
    return test_finish();
}
