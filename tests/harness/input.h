/* Files that the program itself has written. */
#ifndef PLENS_HARNESS_INPUT_H
#define PLENS_HARNESS_INPUT_H

#include <stddef.h>

/* All of a file with a zero behind it, free with free() in either case. EXIT_DONE, or EXIT_INPUT
 * with path and reason said; `hint` follows where the file is not there. */
int input_read(const char *path, const char *hint, char **bytes, size_t *count);

/* Cuts a run.json in two in front of its "machine": 1, or 0 if it has none. What comes before is
 * the same for every run of the same input; *machine is the second half from its brace on. */
int input_cut_run_json(char *text, char **machine);

#endif
