/* The folder of a score's results. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/score_files.h"
#include "tests/harness/system.h"

typedef void write_fn(output *out, const score_report *r);

/* run.json last: a folder that has one is complete. */
static const struct {
    const char *name;
    write_fn *write;
} result_files[] = {
    {"prompts.tsv", write_prompts},
    {"layers.tsv", write_layers},
    {"summary.tsv", write_summary},
    {"run.json", write_run_json},
};

enum { N_FILES = sizeof result_files / sizeof result_files[0] };

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
    for (size_t i = 0; i < N_FILES && code == EXIT_DONE && !force; i++) {
        char *file = join(path, "/", result_files[i].name, NULL);
        if (system_exists(file))
            code = fail_input("%s: holds results already (%s); --force replaces them", path,
                              result_files[i].name);
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

/* Gives finished files their names. The old run.json goes first, so that a mixture of two runs
 * never looks complete. */
static int publish(const results_folder *folder, output files[N_FILES]) {
    int code = fail_stopped();
    if (code == EXIT_DONE)
        remove(files[N_FILES - 1].path);
    for (size_t i = 0; i < N_FILES && code == EXIT_DONE; i++)
        code = output_publish(&files[i]);
    if (code == EXIT_DONE && system_sync_folder(folder->path) != 0)
        code = fail_input("%s: cannot be written: %s", folder->path, strerror(errno));
    return code;
}

int folder_write(const results_folder *folder, const score_report *r) {
    output files[N_FILES];
    int code = EXIT_DONE;
    memset(files, 0, sizeof files);
    for (size_t i = 0; i < N_FILES && code == EXIT_DONE; i++) {
        char *path = join(folder->path, "/", result_files[i].name, NULL);
        code = output_open(&files[i], path);
        free(path);
        if (code != EXIT_DONE)
            break;
        result_files[i].write(&files[i], r);
        code = output_finish(&files[i]);
    }
    if (code == EXIT_DONE)
        code = publish(folder, files);
    for (size_t i = 0; i < N_FILES; i++)
        output_discard(&files[i]);
    return code;
}
