#include "tests/harness/folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/system.h"

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
static int try_writing(const results_folder *folder) {
    output probe;
    char *path = join(folder->path, "/", folder->names[0], NULL);
    int code = output_open(&probe, path);
    output_discard(&probe);
    free(path);
    return code;
}

static int fail_held(const results_folder *folder, const char *name) {
    return fail_input("%s: holds results already (%s); --force replaces them", folder->path, name);
}

int folder_prepare(results_folder *folder, const char *path, int force) {
    folder->path = path;
    folder->made = 0;
    folder->replaces = force;
    int code = make_folders(folder);
    for (const char *const *n = folder->names; *n != NULL && code == EXIT_DONE && force; n++) {
        char *name = join(".", *n, ".", NULL); /* of a run that was killed */
        system_remove_files(path, name, ".tmp");
        free(name);
    }
    for (const char *const *n = folder->names; *n != NULL && code == EXIT_DONE && !force; n++) {
        char *file = join(path, "/", *n, NULL);
        if (system_exists(file))
            code = fail_held(folder, *n);
        free(file);
    }
    if (code == EXIT_DONE)
        code = try_writing(folder);
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

static int is_written(const result_file *files, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++) {
        if (strcmp(files[i].name, name) == 0)
            return 1;
    }
    return 0;
}

/* Another run may have finished in the folder since it was prepared: its results stay. */
static int check_still_free(const results_folder *folder) {
    char *first = join(folder->path, "/", folder->names[0], NULL);
    int held = !folder->replaces && system_exists(first);
    free(first);
    return held ? fail_held(folder, folder->names[0]) : EXIT_DONE;
}

/* Gives finished files their names. The old first name goes first, so that a mixture of two runs
 * never looks complete: a folder that has it is. */
static int publish(const results_folder *folder, const result_file *about, output *files,
                   size_t n) {
    int code = fail_stopped();
    if (code == EXIT_DONE)
        code = check_still_free(folder);
    for (const char *const *name = folder->names; *name != NULL && code == EXIT_DONE; name++) {
        if (name == folder->names || !is_written(about, n, *name))
            remove_old(folder, *name);
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
        code = publish(folder, files, outputs, n);
    for (size_t i = 0; i < n; i++)
        output_discard(&outputs[i]);
    free(outputs);
    return code;
}
