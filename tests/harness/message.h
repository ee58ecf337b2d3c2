/* What the program says on standard error, one line at a time, and how it ends. */
#ifndef PLENS_HARNESS_MESSAGE_H
#define PLENS_HARNESS_MESSAGE_H

#include "plens.h"

enum { EXIT_DONE = 0, EXIT_NO = 1, EXIT_USAGE = 2, EXIT_INPUT = 3 };

#if defined(__GNUC__)
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#else
#define PRINTF_LIKE(text, first)
#endif

/* Prints "plens: MESSAGE" as exactly one line: control bytes come out as \xHH. */
void say(const char *format, ...) PRINTF_LIKE(1, 2);

/* Prints a text that was asked for, such as a command's help, on standard output. Returns
 * EXIT_DONE, or EXIT_INPUT if it cannot be written. */
int print_help(const char *text);

/* Says it and returns EXIT_INPUT. */
int fail_input(const char *format, ...) PRINTF_LIKE(1, 2);

/* Says it with a hint at the command's help and returns EXIT_USAGE. command may be NULL. */
int fail_usage(const char *command, const char *format, ...) PRINTF_LIKE(2, 3);

/* Says what the library said: EXIT_INPUT, or as fail_stopped if a signal ended the call. */
int fail_error(const plens_error *error);

/* 128 + the signal that asked to stop (says so), or 0 if none did. */
int fail_stopped(void);

/* calloc and realloc that end the program with EXIT_INPUT when there is no memory: nothing is
 * under its final name before the last allocation is done. A count of 0 is allowed. */
void *allocate(size_t count, size_t size);
void *reallocate(void *old, size_t count, size_t size);

/* The strings one after the other; NULL ends the list. Free with free(). */
char *join(const char *first, ...);

#endif
