/* Feeds a fuzz target its corpus without a fuzzer: every file whole, cut short at many places, and
 * with bytes changed. usage: NAME [FILE…]; with no file tests/fuzz/corpus/NAME. A target that
 * breaks a promise aborts, so that no tally comes. */
#include "tests/fuzz/fuzz.h"
#include "tests/test.h"

#define CUTS    48
#define CHANGES 96

static uint64_t state = 88172645463325252u;

/* xorshift64 [Marsaglia 2003] */
static size_t random_below(size_t limit) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (size_t)(state % limit);
}

/* A copy of its own for each run: a read past the end is then one past a block. */
static void feed(const uint8_t *data, size_t n) {
    uint8_t *copy = malloc(n > 0 ? n : 1);
    if (n > 0)
        memcpy(copy, data, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

static void feed_changed(uint8_t *data, size_t n) {
    static const char marks[] = "\"\\{}[],:0123456789-eE\t\n \x80\xff/";
    size_t at = random_below(n);
    uint8_t before = data[at];
    data[at] = random_below(4) == 0 ? (uint8_t)random_below(256)
                                    : (uint8_t)marks[random_below(sizeof marks - 1)];
    feed(data, n);
    data[at] = before;
}

static int replay(const char *path) {
    static uint8_t data[1 << 20];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 0;
    }
    size_t n = fread(data, 1, sizeof data, file);
    fclose(file);
    feed(data, n);
    for (size_t i = 0; i < CUTS && n > 0; i++)
        feed(data, n * i / CUTS);
    for (size_t i = 0; i < CHANGES && n > 0; i++)
        feed_changed(data, n);
    return 1;
}

static const char *corpus;

static void the_corpus_breaks_nothing(void) {
    DIR *listing = opendir(corpus);
    struct dirent *entry;
    size_t n_files = 0;
    while (listing != NULL && (entry = readdir(listing)) != NULL) {
        char path[2048];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", corpus, entry->d_name);
        CHECK(replay(path));
        n_files++;
    }
    if (listing != NULL)
        closedir(listing);
    CHECK(n_files > 0);
}

int main(int count, char **arguments) {
    static char path[2048];
    const char *name = strrchr(arguments[0], '/');
    if (count > 1) {
        for (int i = 1; i < count; i++)
            if (!replay(arguments[i]))
                return 1;
        return 0;
    }
    snprintf(path, sizeof path, "tests/fuzz/corpus/%s", name != NULL ? name + 1 : arguments[0]);
    corpus = path;
    RUN(the_corpus_breaks_nothing);
    return test_finish();
}
