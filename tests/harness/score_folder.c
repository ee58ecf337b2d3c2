/* The folder of a score's results. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/score_files.h"
#include "tests/harness/system.h"

static const char *const result_names[] = {"prompts.tsv", "layers.tsv", "summary.tsv", "shard.tsv",
                                           "run.json"};

enum { N_NAMES = sizeof result_names / sizeof result_names[0] };

/* Makes the folder and its parents. */
static int make_folders(results_folder *folder) {
    char *path = join(folder->path, NULL);
    int code = EXIT_DONE;
    for (char *end = path; code == EXIT_DONE && *end != '\0';) {
        end += 1 + strcspn(end + 1, "/");
        char after = *end;
        *end = '\0';
        int exists = system_exists(path);
        if (!exists && system_make_folder(path) != 0)
            code = fail_input("%s: cannot be made: %s", path, strerror(errno));
        else if (!exists && folder->made == 0)
            folder->made = (size_t)(end - path);
        *end = after;
    }
    free(path);
    return code;
}

/* Opens and removes a file, to see that it can be done. */
static int try_writing(const char *folder) {
    output probe;
    char *path = join(folder, "/run.json", NULL);
    int code = output_open(&probe, path);
    output_discard(&probe);
    free(path);
    return code;
}

int folder_prepare(results_folder *folder, const char *path, int force) {
    folder->path = path;
    folder->made = 0;
    int code = make_folders(folder);
    for (size_t i = 0; i < N_NAMES && code == EXIT_DONE && force; i++) {
        char *name = join(".", result_names[i], ".", NULL); /* of a run that was killed */
        system_remove_files(path, name, ".tmp");
        free(name);
    }
    for (size_t i = 0; i < N_NAMES && code == EXIT_DONE && !force; i++) {
        char *file = join(path, "/", result_names[i], NULL);
        if (system_exists(file))
            code = fail_input("%s: holds results already (%s); --force replaces them", path,
                              result_names[i]);
        free(file);
    }
    if (code == EXIT_DONE)
        code = try_writing(path);
    if (code != EXIT_DONE)
        folder_undo(folder);
    return code;
}

void folder_undo(const results_folder *folder) {
    if (folder->made == 0)
        return;
    char *path = join(folder->path, NULL);
    for (size_t length = strlen(path); length >= folder->made; length--) {
        if (path[length] != '\0' && path[length] != '/')
            continue;
        path[length] = '\0';
        if (system_remove_folder(path) != 0)
            break;
    }
    free(path);
}

/* Removes what another run left under a name that this one does not write. */
static void remove_old(const results_folder *folder, const char *name) {
    char *path = join(folder->path, "/", name, NULL);
    remove(path);
    free(path);
}

/* Gives finished files their names. The old run.json goes first, so that a mixture of two runs
 * never looks complete: a folder that has one is. */
static int publish(const results_folder *folder, output *files, size_t n) {
    int code = fail_stopped();
    if (code == EXIT_DONE) {
        remove_old(folder, "run.json");
        remove_old(folder, "shard.tsv");
    }
    for (size_t i = 0; i < n && code == EXIT_DONE; i++)
        code = output_publish(&files[i]);
    if (code == EXIT_DONE && system_sync_folder(folder->path) != 0)
        code = fail_input("%s: cannot be written: %s", folder->path, strerror(errno));
    return code;
}

int folder_write(const results_folder *folder, const result_file *files, size_t n,
                 const void *user) {
    output *outputs = allocate(n, sizeof *outputs);
    int code = EXIT_DONE;
    for (size_t i = 0; i < n && code == EXIT_DONE; i++) {
        char *path = join(folder->path, "/", files[i].name, NULL);
        code = output_open(&outputs[i], path);
        free(path);
        if (code != EXIT_DONE)
            break;
        files[i].write(&outputs[i], user);
        code = output_finish(&outputs[i]);
    }
    if (code == EXIT_DONE)
        code = publish(folder, outputs, n);
    for (size_t i = 0; i < n; i++)
        output_discard(&outputs[i]);
    free(outputs);
    return code;
}

static void prompts_file(output *out, const void *report) {
    write_prompts(out, report);
}

static void layers_file(output *out, const void *report) {
    write_layers(out, report);
}

static void summary_file(output *out, const void *report) {
    write_summary(out, report);
}

static void shard_file(output *out, const void *report) {
    write_shard(out, report);
}

static void run_json_file(output *out, const void *report) {
    write_run_json(out, report);
}

int folder_write_score(const results_folder *folder, const score_report *r) {
    result_file files[N_NAMES] = {
        {"prompts.tsv", prompts_file}, {"layers.tsv", layers_file}, {"summary.tsv", summary_file}};
    size_t n = 3;
    if (r->shard->count > 0)
        files[n++] = (result_file){"shard.tsv", shard_file};
    files[n++] = (result_file){"run.json", run_json_file};
    return folder_write(folder, files, n, r);
}
