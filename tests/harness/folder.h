/* A folder of results whose files appear together or not at all. */
#ifndef PLENS_HARNESS_FOLDER_H
#define PLENS_HARNESS_FOLDER_H

#include "tests/harness/output.h"

/* A folder of results. made: how many bytes of the path name the first folder that had to be made,
 * 0 if all of it was there. names: the files that its kind of results has, ended by NULL; the first
 * is the one without which a folder is not complete. replaces: complete results that appear while
 * the new ones are made give way to them. */
typedef struct results_folder {
    const char *path;
    size_t made;
    int replaces;
    const char *const *names;
} results_folder;

/* Makes the folder with its parents and checks that it may be written to, so that a mistake is
 * told before the run. Without force it must hold no results, now and when the new ones are
 * written. EXIT_DONE or EXIT_INPUT. */
int folder_prepare(results_folder *folder, const char *path, int force);

/* Removes the folders that were made and are still empty. */
void folder_undo(const results_folder *folder);

typedef struct result_file {
    const char *name;
    void (*write)(output *out, const void *user);
} result_file;

/* Writes n files; they appear together, in their order, so the one that completes them comes last.
 * What other results left under the folder's names disappears. EXIT_DONE or the exit status. */
int folder_write(const results_folder *folder, const result_file *files, size_t n,
                 const void *user);

#endif
