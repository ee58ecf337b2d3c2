#include "tests/harness/categories.h"

#include <stdlib.h>
#include <string.h>

#include "tests/harness/message.h"

static category *find_parent(categories *c, const char *name) {
    for (size_t i = 0; i < c->n_parents; i++) {
        if (strcmp(c->parents[i].name, name) == 0)
            return &c->parents[i];
    }
    c->parents = reallocate(c->parents, c->n_parents + 1, sizeof *c->parents);
    c->parents[c->n_parents] = (category){name, NULL, 0};
    return &c->parents[c->n_parents++];
}

static int add_row(categories *c, const char *path, size_t line, const char *parent,
                   const char *child) {
    if (parent[0] == '\0' || child[0] == '\0')
        return fail_input("%s:%zu: the %s is empty", path, line,
                          parent[0] == '\0' ? "parent" : "child");
    category *to = find_parent(c, parent);
    for (size_t i = 0; i < to->n_children; i++) {
        if (strcmp(to->children[i], child) == 0)
            return fail_input("%s:%zu: '%s' has a child '%s' already", path, line, parent, child);
    }
    to->children = reallocate(to->children, to->n_children + 1, sizeof *to->children);
    to->children[to->n_children++] = child;
    return EXIT_DONE;
}

int categories_read(categories *c, const session *s, const char *path) {
    plens_error error;
    size_t parent, child;
    memset(c, 0, sizeof *c);
    if (plens_table_open(s->context, path, &c->table, &error) != PLENS_OK ||
        plens_table_column(c->table, "parent", &parent, &error) != PLENS_OK ||
        plens_table_column(c->table, "child", &child, &error) != PLENS_OK)
        return fail_error(&error);
    if (plens_table_rows(c->table) == 0)
        return fail_input("%s: no categories: expected at least one row after the header", path);
    for (size_t row = 0; row < plens_table_rows(c->table); row++) {
        int code = add_row(c, path, plens_table_line(c->table, row),
                           plens_table_cell(c->table, row, parent, NULL),
                           plens_table_cell(c->table, row, child, NULL));
        if (code != EXIT_DONE)
            return code;
    }
    return EXIT_DONE;
}

void categories_free(categories *c) {
    for (size_t i = 0; i < c->n_parents; i++)
        free(c->parents[i].children);
    free(c->parents);
    plens_table_close(c->table);
}
