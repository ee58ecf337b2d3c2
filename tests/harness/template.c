#include <stdlib.h>
#include <string.h>

#include "tests/harness/jobs.h"
#include "tests/harness/message.h"

const char *const condition_names[N_CONDITIONS] = {"with", "without"};

static int check_template(const char *path, size_t line, int c, const char *text) {
    if (strstr(text, "{prompt}") == NULL)
        return fail_input("%s:%zu: the template has no {prompt}", path, line);
    int has_persona = strstr(text, "{persona}") != NULL;
    if (has_persona != (c == CONDITION_WITH))
        return fail_input("%s:%zu: the template for '%s' has %s {persona}", path, line,
                          condition_names[c], has_persona ? "a" : "no");
    return EXIT_DONE;
}

static int read_rows(prompt_template *t, const plens_table *table, const char *path) {
    plens_error error;
    size_t name_column, text_column;
    if (plens_table_column(table, "condition", &name_column, &error) != PLENS_OK ||
        plens_table_column(table, "template", &text_column, &error) != PLENS_OK)
        return fail_error(&error);
    for (size_t row = 0; row < plens_table_rows(table); row++) {
        const char *name = plens_table_cell(table, row, name_column, NULL);
        const char *text = plens_table_cell(table, row, text_column, NULL);
        size_t line = plens_table_line(table, row);
        int c = 0;
        while (c < N_CONDITIONS && strcmp(name, condition_names[c]) != 0)
            c++;
        if (c == N_CONDITIONS)
            return fail_input("%s:%zu: expected the condition with or without, found '%s'", path,
                              line, name);
        if (t->texts[c] != NULL)
            return fail_input("%s:%zu: a second template for '%s'", path, line, name);
        int code = check_template(path, line, c, text);
        if (code != EXIT_DONE)
            return code;
        t->texts[c] = join(text, NULL);
    }
    for (int c = 0; c < N_CONDITIONS; c++) {
        if (t->texts[c] == NULL)
            return fail_input("%s: no template for '%s'", path, condition_names[c]);
    }
    return EXIT_DONE;
}

int template_read(prompt_template *t, const session *s, const char *path) {
    plens_error error;
    plens_table *table;
    memset(t, 0, sizeof *t);
    if (path == NULL) {
        t->texts[CONDITION_WITH] = join("({persona}) {prompt}", NULL);
        t->texts[CONDITION_WITHOUT] = join("{prompt}", NULL);
        return EXIT_DONE;
    }
    if (plens_table_open(s->context, path, &table, &error) != PLENS_OK)
        return fail_error(&error);
    int code = read_rows(t, table, path);
    plens_table_close(table);
    return code;
}

void template_free(prompt_template *t) {
    for (int c = 0; c < N_CONDITIONS; c++)
        free(t->texts[c]);
}
