/* A few macros for the unit tests. Each tests/unit/NAME.c is a program of its own:
 *
 *     static void digits_need_a_number(void) { CHECK(...); }   // the bug it guards against
 *     int main(void) { RUN(digits_need_a_number); return test_finish(); }
 *
 * A check that fails prints its place and leaves the test. The last line a program prints is
 * "N passed, N failed, N skipped"; tests/run.sh adds them up. */
#ifndef PLENS_TESTS_TEST_H
#define PLENS_TESTS_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int test_passed, test_failed, test_skipped, test_bad, test_skip;

#define RUN(function)                                                                              \
    do {                                                                                           \
        test_bad = test_skip = 0;                                                                  \
        function();                                                                                \
        if (test_bad)                                                                              \
            printf("FAILED: %s\n", #function);                                                     \
        *(test_bad ? &test_failed : test_skip ? &test_skipped : &test_passed) += 1;                \
    } while (0)

#define CHECK_THAT(condition, ...)                                                                 \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("%s:%d: ", __FILE__, __LINE__);                                                 \
            printf(__VA_ARGS__);                                                                   \
            printf("\n");                                                                          \
            test_bad = 1;                                                                          \
            return;                                                                                \
        }                                                                                          \
    } while (0)

#define CHECK(condition) CHECK_THAT(condition, "%s", #condition)
#define CHECK_INT(found, expected)                                                                 \
    CHECK_THAT((long long)(found) == (long long)(expected), "%s is %lld, expected %lld", #found,   \
               (long long)(found), (long long)(expected))
#define CHECK_STRING(found, expected)                                                              \
    CHECK_THAT(strcmp(found, expected) == 0, "%s is \"%s\", expected \"%s\"", #found, found,       \
               expected)
#define CHECK_CONTAINS(found, part)                                                                \
    CHECK_THAT(strstr(found, part) != NULL, "%s is \"%s\", expected it to contain \"%s\"", #found, \
               found, part)
#define CHECK_OK(call, error) CHECK_THAT((call) == PLENS_OK, "%s: %s", #call, (error).message)

/* Leaves the test as skipped, saying why. */
#define SKIP(...)                                                                                  \
    do {                                                                                           \
        printf("skipped: " __VA_ARGS__);                                                           \
        printf("\n");                                                                              \
        test_skip = 1;                                                                             \
        return;                                                                                    \
    } while (0)

static inline int test_finish(void) {
    printf("%d passed, %d failed, %d skipped\n", test_passed, test_failed, test_skipped);
    return test_failed > 0;
}

/* The folder of large test data outside the repository, or NULL where it is absent. */
static inline const char *test_shared(void) {
    const char *folder = getenv("PLENS_SHARED");
    if (folder == NULL)
        folder = "../shared";
    static char probe[4096];
    snprintf(probe, sizeof probe, "%s/FACTS.md", folder);
    FILE *file = fopen(probe, "rb");
    if (file == NULL)
        return NULL;
    fclose(file);
    return folder;
}

#endif
