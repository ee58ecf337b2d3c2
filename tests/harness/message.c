#include "tests/harness/message.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/system.h"

static void say_list(const char *format, va_list arguments, const char *ending) {
    char text[4096];
    vsnprintf(text, sizeof text, format, arguments);
    fputs("plens: ", stderr);
    for (const char *at = text; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;
        if (byte < 0x20 || byte == 0x7F)
            fprintf(stderr, "\\x%02X", byte);
        else
            fputc(byte, stderr);
    }
    fputs(ending, stderr);
    fputc('\n', stderr);
}

void say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say_list(format, arguments, "");
    va_end(arguments);
}

int print_help(const char *text) {
    if (fputs(text, stdout) < 0 || fflush(stdout) != 0)
        return fail_input("standard output: cannot be written: %s", strerror(errno));
    return EXIT_DONE;
}

int fail_input(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say_list(format, arguments, "");
    va_end(arguments);
    return EXIT_INPUT;
}

int fail_usage(const char *command, const char *format, ...) {
    char hint[128];
    snprintf(hint, sizeof hint, " (see plens %s%s--help)", command == NULL ? "" : command,
             command == NULL ? "" : " ");
    va_list arguments;
    va_start(arguments, format);
    say_list(format, arguments, hint);
    va_end(arguments);
    return EXIT_USAGE;
}

int fail_error(const plens_error *error) {
    int stopped = error->status == PLENS_CANCELLED ? fail_stopped() : 0;
    return stopped != 0 ? stopped : fail_input("%s", error->message);
}

int fail_stopped(void) {
    int signal = system_stop_signal();
    if (signal == 0)
        return 0;
    say("stopped by %s; no results were written", signal == 2 ? "Ctrl-C" : "a signal");
    return 128 + signal;
}

static void *or_end(void *memory, size_t count, size_t size) {
    if (memory == NULL) {
        say("no memory for %zu times %zu bytes", count, size);
        exit(EXIT_INPUT);
    }
    return memory;
}

void *allocate(size_t count, size_t size) {
    return or_end(calloc(count == 0 ? 1 : count, size), count, size);
}

void *reallocate(void *old, size_t count, size_t size) {
    int fits = count <= SIZE_MAX / size;
    return or_end(fits ? realloc(old, count == 0 ? size : count * size) : NULL, count, size);
}

char *join(const char *first, ...) {
    size_t length = strlen(first);
    va_list parts;
    va_start(parts, first);
    for (const char *part = va_arg(parts, const char *); part != NULL;
         part = va_arg(parts, const char *))
        length += strlen(part);
    va_end(parts);

    char *joined = allocate(length + 1, 1);
    strcpy(joined, first);
    va_start(parts, first);
    for (const char *part = va_arg(parts, const char *); part != NULL;
         part = va_arg(parts, const char *))
        strcat(joined, part);
    va_end(parts);
    return joined;
}
