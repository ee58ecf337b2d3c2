#include "tests/harness/options.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "tests/harness/message.h"

int parse_number(const char *text, uint64_t most, uint64_t *number) {
    uint64_t value = 0;
    if (*text == '\0')
        return 0;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return 0;
        uint64_t digit = (uint64_t)(*text - '0');
        if (digit > most || value > (most - digit) / 10)
            return 0;
        value = value * 10 + digit;
    }
    *number = value;
    return 1;
}

int parse_range(const char *text, size_t most, size_t *first, size_t *last) {
    char digits[24];
    uint64_t low, high;
    size_t n = strcspn(text, "-");
    if (n >= sizeof digits)
        return 0;
    memcpy(digits, text, n);
    digits[n] = '\0';
    if (!parse_number(digits, most, &low) ||
        !parse_number(text[n] == '-' ? text + n + 1 : digits, most, &high) || low > high)
        return 0;
    *first = (size_t)low;
    *last = (size_t)high;
    return 1;
}

/* "8G": digits, then nothing, K, M, G or T. */
static int parse_bytes(const char *text, uint64_t *bytes) {
    static const char units[] = "KMGT";
    char digits[24];
    size_t length = strlen(text);
    const char *unit = length > 0 ? strchr(units, text[length - 1]) : NULL;
    unsigned shift = unit == NULL ? 0 : 10 * (unsigned)(unit - units + 1);
    if (unit != NULL)
        length--;
    if (length >= sizeof digits)
        return 0;
    memcpy(digits, text, length);
    digits[length] = '\0';
    if (!parse_number(digits, UINT64_MAX >> shift, bytes) || *bytes == 0)
        return 0;
    *bytes <<= shift;
    return 1;
}

static int read_choice(const char *command, const option *o, const char *value) {
    char names[256] = "";
    for (const option_choice *choice = o->choices; choice->name != NULL; choice++) {
        if (strcmp(choice->name, value) == 0) {
            *(int *)o->target = choice->value;
            return OPTIONS_READ;
        }
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", used == 0 ? "" : ", ", choice->name);
    }
    return fail_usage(command, "%s takes one of %s, found '%s'", o->name, names, value);
}

static int read_value(const char *command, const option *o, const char *value) {
    uint64_t number;
    switch (o->kind) {
    case OPTION_TEXT:
        *(const char **)o->target = value;
        return OPTIONS_READ;
    case OPTION_TEXTS: {
        option_texts *texts = o->target;
        texts->items = reallocate(texts->items, texts->count + 1, sizeof *texts->items);
        texts->items[texts->count++] = value;
        return OPTIONS_READ;
    }
    case OPTION_COUNT:
        if (!parse_number(value, INT_MAX, &number) || number == 0)
            return fail_usage(command, "%s takes a number from 1 to %d, found '%s'", o->name,
                              INT_MAX, value);
        *(size_t *)o->target = (size_t)number;
        return OPTIONS_READ;
    case OPTION_BYTES:
        if (!parse_bytes(value, o->target))
            return fail_usage(command, "%s takes a number of bytes such as 512M or 8G, found '%s'",
                              o->name, value);
        return OPTIONS_READ;
    default:
        return read_choice(command, o, value);
    }
}

/* Finds the option that an argument names, as --name or --name=value, or whose value it is. */
static const option *find_option(const option *options, size_t n_options, const char *argument,
                                 const char **value) {
    int bare = argument[0] != '-';
    const char *equals = bare ? argument : strchr(argument, '=');
    size_t length = equals == NULL ? strlen(argument) : (size_t)(equals - argument);
    *value = bare ? argument : equals == NULL ? NULL : equals + 1;
    for (size_t i = 0; i < n_options; i++) {
        if (strlen(options[i].name) == length && memcmp(options[i].name, argument, length) == 0)
            return &options[i];
    }
    return NULL;
}

int options_read(const char *command, const char *usage, const option *options, size_t n_options,
                 int argc, char **argv) {
    uint64_t seen = 0; /* one bit for each option */
    for (int i = 0; i < argc; i++) {
        const char *value;
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
            return print_help(usage);
        const option *o = find_option(options, n_options, argv[i], &value);
        if (o == NULL)
            return fail_usage(command, "%s '%s'",
                              argv[i][0] == '-' ? "unknown option" : "unexpected argument",
                              argv[i]);
        if (o->kind == OPTION_LATER)
            return fail_usage(command, "this version has no %s", o->name);
        uint64_t bit = (uint64_t)1 << (o - options);
        if ((seen & bit) != 0 && o->kind != OPTION_TEXTS)
            return o->name[0] == '\0' ? fail_usage(command, "unexpected argument '%s'", argv[i])
                                      : fail_usage(command, "%s is given twice", o->name);
        seen |= bit;
        if (o->kind == OPTION_FLAG) {
            if (value != NULL)
                return fail_usage(command, "%s takes no value", o->name);
            *(int *)o->target = 1;
            continue;
        }
        if (value == NULL && i + 1 < argc)
            value = argv[++i];
        if (value == NULL)
            return fail_usage(command, "%s needs a value", o->name);
        int status = read_value(command, o, value);
        if (status != OPTIONS_READ)
            return status;
    }
    return OPTIONS_READ;
}
