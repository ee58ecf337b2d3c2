/* In the file: the magic, the model's fingerprint, the identity's length and text, the numbers of
 * jobs and layers, the results so far, the length of the run's state and the state, XXH64 of all
 * that. Numbers are 64 bits as the machine has them: a checkpoint is for machines of one kind. */
#include "tests/harness/resume.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/input.h"
#include "tests/harness/system.h"

static const char magic[8] = {'p', 'l', 'e', 'n', 's', 'c', 'k', '1'};

/* ---- what makes two runs the same ---- */

/* run.json in front of its "machine", and the shard. */
static char *identify(const score_report *r) {
    output out;
    char *text = NULL, *machine, shard_text[64], *all = NULL;
    size_t count;
    memset(&out, 0, sizeof out);
    out.path = join("memory", NULL);
    out.file = system_memory(&text, &count);
    if (out.file != NULL)
        write_run_json(&out, r);
    int code = out.file != NULL ? output_finish(&out) : EXIT_INPUT;
    output_discard(&out);
    snprintf(shard_text, sizeof shard_text, "\n  \"shard\": \"%zu/%zu\"", r->shard->index,
             r->shard->count);
    if (code == EXIT_DONE && input_cut_run_json(text, &machine))
        all = join(text, shard_text, NULL);
    free(text);
    return all;
}

/* Names the first place where they differ. */
static int fail_other(const char *path, const char *found, const char *expected) {
    size_t line = 0;
    for (size_t i = 0; found[i] != '\0' && found[i] == expected[i]; i++)
        line = found[i] == '\n' ? i + 1 : line;
    while (found[line] == ' ' && found[line] == expected[line])
        line++;
    return fail_input("%s: is of another run: it has %.*s where this one has %.*s", path,
                      (int)strcspn(found + line, "\n"), found + line,
                      (int)strcspn(expected + line, "\n"), expected + line);
}

/* ---- what the folder holds ---- */

/* A folder with run.json is complete; a table may have been moved away since. */
static int check_tables(const char *folder) {
    int code = EXIT_DONE;
    for (const char *const *name = score_names; *name != NULL && code == EXIT_DONE; name++) {
        char *path = join(folder, "/", *name, NULL);
        if (strcmp(*name, "shard.tsv") != 0 && !system_exists(path))
            code = fail_input("%s: not found, though run.json says that the run is finished; "
                              "--force begins anew",
                              path);
        free(path);
    }
    return code;
}

/* A finished run: is it this one? */
static int check_finished(const checkpoint *c, const score_report *r, const char *folder,
                          const char *run_json) {
    char *text, *machine, *path = join(folder, "/shard.tsv", NULL);
    size_t count, length;
    int code = input_read(run_json, "", &text, &count);
    if (code == EXIT_DONE && !input_cut_run_json(text, &machine))
        code = fail_input("%s: expected a run of plens score", run_json);
    length = code == EXIT_DONE ? strlen(text) : 0;
    if (code == EXIT_DONE && strncmp(text, c->identity, length) != 0)
        code = fail_other(run_json, text, c->identity);
    int is_shard = system_exists(path);
    free(text);
    text = NULL;
    if (code == EXIT_DONE && is_shard != (r->shard->count > 0))
        code = fail_input("%s: holds %s, this run is %s", folder, is_shard ? "a shard" : "all",
                          is_shard ? "all" : "a shard");
    if (code == EXIT_DONE && is_shard) {
        shard found = {0, 0};
        code = input_read(path, "", &text, &count);
        char *value = code == EXIT_DONE ? strstr(text, "\nshard\t") : NULL;
        if (value != NULL) {
            value[7 + strcspn(value + 7, "\n")] = '\0';
            shard_read(&found, value + 7);
        }
        if (code == EXIT_DONE && (found.index != r->shard->index || found.count != r->shard->count))
            code = fail_input("%s: is of shard %zu/%zu, this run is %zu/%zu", path, found.index,
                              found.count, r->shard->index, r->shard->count);
    }
    free(text);
    free(path);
    return code == EXIT_DONE ? check_tables(folder) : code;
}

int checkpoint_open(checkpoint *c, const score_report *r, const char *folder, int resume, int force,
                    double interval, int *state) {
    memset(c, 0, sizeof *c);
    *state = RUN_TO_DO;
    c->interval = interval;
    c->path = join(folder, "/checkpoint", NULL);
    c->unfinished = join(folder, "/checkpoint.new", NULL);
    c->identity = identify(r);
    if (c->identity == NULL)
        return fail_input("no memory for what identifies the run");
    c->fingerprint = r->fingerprint;
    if (!resume && !force && system_exists(c->path))
        return fail_input("%s: a run was ended here; --resume goes on with it, --force begins anew",
                          c->path);
    char *run_json = join(folder, "/run.json", NULL);
    int code = EXIT_DONE;
    if (resume && system_exists(run_json)) {
        code = check_finished(c, r, folder, run_json);
        *state = RUN_FINISHED;
    }
    free(run_json);
    return code;
}

/* ---- reading ---- */

static int take(void *user, void *bytes, size_t n_bytes) {
    checkpoint *c = user;
    return fread(bytes, 1, n_bytes, c->file) != n_bytes;
}

/* The checksum of all but the last eight bytes, which hold it. */
static int check_sum(checkpoint *c) {
    static char bytes[1 << 16];
    checksum sum;
    uint64_t expected = 0;
    size_t held = 0, n;
    checksum_start(&sum);
    rewind(c->file);
    while ((n = fread(bytes + held, 1, sizeof bytes - held, c->file)) > 0) {
        held += n;
        if (held > 8) { /* eight bytes stay back: they may be the last */
            checksum_add(&sum, bytes, held - 8);
            memmove(bytes, bytes + held - 8, 8);
            held = 8;
        }
    }
    if (held == 8)
        memcpy(&expected, bytes, 8);
    rewind(c->file);
    if (held == 8 && !ferror(c->file) && expected == checksum_value(&sum))
        return EXIT_DONE;
    return fail_input("%s: is damaged: its checksum is wrong; --force begins anew", c->path);
}

static int read_identity(checkpoint *c) {
    char found[8];
    uint64_t fingerprint, length;
    if (take(c, found, sizeof found) != 0 || memcmp(found, magic, sizeof magic) != 0 ||
        take(c, &fingerprint, sizeof fingerprint) != 0 || take(c, &length, sizeof length) != 0 ||
        length > 1 << 24)
        return fail_input("%s: is no checkpoint of this version of plens; --force begins anew",
                          c->path);
    char *text = allocate((size_t)length + 1, 1);
    int code = take(c, text, (size_t)length) == 0
                   ? EXIT_DONE
                   : fail_input("%s: is cut short; --force begins anew", c->path);
    if (code == EXIT_DONE && fingerprint != c->fingerprint)
        code = fail_input(
            "%s: is of another run: of another model, or its files have changed since", c->path);
    if (code == EXIT_DONE && strcmp(text, c->identity) != 0)
        code = fail_other(c->path, text, c->identity);
    free(text);
    return code;
}

/* One array of the results, in both directions. */
typedef int piece_fn(checkpoint *c, void *bytes, size_t n_bytes);

static int each_result(checkpoint *c, piece_fn *fn) {
    scores *r = c->results;
    size_t n = r->jobs->count * r->n_layers;
    return fn(c, r->top_ids, n * sizeof *r->top_ids) ||
           fn(c, r->top_probs, n * sizeof *r->top_probs) || fn(c, r->layers, n * sizeof *r->layers);
}

static int take_piece(checkpoint *c, void *bytes, size_t n_bytes) {
    return take(c, bytes, n_bytes);
}

static int read_results(checkpoint *c) {
    uint64_t numbers[2], n_state;
    if (take(c, numbers, sizeof numbers) == 0 && numbers[0] == c->results->jobs->count &&
        numbers[1] == c->results->n_layers && each_result(c, take_piece) == 0 &&
        take(c, &n_state, sizeof n_state) == 0)
        return EXIT_DONE;
    return fail_input("%s: is damaged; --force begins anew", c->path);
}

/* ---- writing ---- */

static int put(void *user, const void *bytes, size_t n_bytes) {
    checkpoint *c = user;
    checksum_add(&c->sum, bytes, n_bytes);
    return fwrite(bytes, 1, n_bytes, c->file) != n_bytes;
}

static int put_piece(checkpoint *c, void *bytes, size_t n_bytes) {
    return put(c, bytes, n_bytes);
}

static void give_up(checkpoint *c, int reason) {
    say("%s: cannot be written: %s; the run goes on without checkpoints", c->unfinished,
        strerror(reason != 0 ? reason : EIO));
    if (c->file != NULL)
        fclose(c->file);
    c->file = NULL;
    remove(c->unfinished);
    c->failed = 1;
}

/* At most one an interval, and three hundredths of the time; before the first one has shown what it
 * costs, as if the disk took 500 MB a second. */
static int is_due(const checkpoint *c, double now, uint64_t n_state) {
    double cost = c->written ? c->cost : (double)n_state / 5e8;
    if (c->interval <= 0)
        return 1;
    return now - c->last >= c->interval && now - c->last >= 33 * cost;
}

static int begin(void *user, const plens_progress *at, uint64_t n_state) {
    checkpoint *c = user;
    double now = system_seconds();
    (void)at;
    if (c->failed || !is_due(c, now, n_state))
        return 0;
    c->begun = now;
    if (c->file != NULL) /* the one that the run went on from */
        fclose(c->file);
    errno = 0;
    c->file = system_replace(c->unfinished);
    uint64_t head[2] = {c->fingerprint, strlen(c->identity)};
    uint64_t numbers[2] = {c->results->jobs->count, c->results->n_layers};
    checksum_start(&c->sum);
    if (c->file == NULL || put(c, magic, sizeof magic) || put(c, head, sizeof head) ||
        put(c, c->identity, (size_t)head[1]) || put(c, numbers, sizeof numbers) ||
        each_result(c, put_piece) || put(c, &n_state, sizeof n_state)) {
        give_up(c, errno);
        return 0;
    }
    return 1;
}

/* The name is given to what is on the disk; the folder's names follow. */
static void end(void *user, int complete) {
    checkpoint *c = user;
    uint64_t sum = checksum_value(&c->sum);
    int good = complete && fwrite(&sum, 1, sizeof sum, c->file) == sizeof sum &&
               fflush(c->file) == 0 && system_sync(c->file) == 0;
    int reason = errno;
    if (!good) {
        give_up(c, reason);
        return;
    }
    good = fclose(c->file) == 0;
    c->file = NULL;
    if (!good || rename(c->unfinished, c->path) != 0) {
        give_up(c, errno);
        return;
    }
    char *folder = join(c->path, NULL);
    *strrchr(folder, '/') = '\0';
    system_sync_folder(folder[0] == '\0' ? "/" : folder);
    free(folder);
    c->written = 1;
    c->last = system_seconds();
    c->cost = c->last - c->begun;
}

/* ---- the run ---- */

int checkpoint_begin(checkpoint *c, scores *results, int resume, plens_saver *saver) {
    c->results = results;
    c->last = system_seconds();
    memset(saver, 0, sizeof *saver);
    saver->user = c;
    saver->begin = begin;
    saver->write = put;
    saver->end = end;
    if (!resume || !system_exists(c->path))
        return EXIT_DONE;
    c->file = fopen(c->path, "rb");
    if (c->file == NULL)
        return fail_input("%s: cannot be read: %s", c->path, strerror(errno));
    int code = read_identity(c);
    if (code == EXIT_DONE)
        code = check_sum(c);
    if (code == EXIT_DONE)
        code = read_identity(c);
    if (code == EXIT_DONE)
        code = read_results(c);
    saver->read = take;
    return code;
}

void checkpoint_tell(const checkpoint *c) {
    if (system_exists(c->path))
        say("%s is kept; --resume goes on from there", c->path);
}

void checkpoint_remove(const checkpoint *c) {
    remove(c->path);
    remove(c->unfinished);
}

void checkpoint_close(checkpoint *c) {
    if (c->file != NULL)
        fclose(c->file);
    free(c->path);
    free(c->unfinished);
    free(c->identity);
    memset(c, 0, sizeof *c);
}
