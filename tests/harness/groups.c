#include "tests/harness/groups.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/message.h"
#include "tests/harness/token_option.h"

enum { BY_ID, BY_TOKEN, BY_TEXT, N_WAYS };
static const char *const way_names[N_WAYS] = {"id", "token", "text"};

typedef struct reading {
    session *s;
    const char *path;
    const plens_table *table;
    size_t name_column, token_column;
    int way;
    size_t n_long, n_same; /* texts of several tokens; whose token the group has already */
} reading;

static int find_columns(reading *r) {
    plens_error error;
    int found = 0;
    if (plens_table_column(r->table, "group", &r->name_column, &error) != PLENS_OK)
        return fail_error(&error);
    for (int way = 0; way < N_WAYS; way++)
        if (plens_table_column(r->table, way_names[way], &r->token_column, NULL) == PLENS_OK) {
            r->way = way;
            found++;
        }
    if (found == 1)
        return EXIT_DONE;
    return fail_input("%s: expected one of the columns id, token and text beside group, found %s",
                      r->path, found == 0 ? "none" : "several");
}

static int read_token(reading *r, const char *place, const char *cell, int32_t *id) {
    uint64_t number = 0;
    size_t n_tokens = 1;
    if (r->way == BY_TEXT) {
        int code = token_first(r->s, place, cell, id, &n_tokens);
        r->n_long += n_tokens > 1;
        return code;
    }
    if (cell[0] == '\0')
        return fail_input("%s: the %s is empty", place, way_names[r->way]);
    if (r->way == BY_TOKEN)
        return token_find(r->s, place, cell, id);
    if (!parse_number(cell, INT32_MAX, &number))
        return fail_input("%s: expected a token's id, found '%s'", place, cell);
    *id = (int32_t)number;
    return session_check_ids(r->s, place, id, 1);
}

/* The group of this name, made if need be. */
static plens_group *group_named(groups *g, const char *name) {
    for (size_t i = 0; i < g->n_groups; i++)
        if (strcmp(g->names[i], name) == 0)
            return &g->items[i];
    size_t i = g->n_groups++;
    g->names = reallocate(g->names, g->n_groups, sizeof *g->names);
    g->items = reallocate(g->items, g->n_groups, sizeof *g->items);
    g->names[i] = join(name, NULL);
    memset(&g->items[i], 0, sizeof g->items[i]);
    return &g->items[i];
}

static int add_token(reading *r, plens_group *group, const char *place, int32_t id) {
    for (size_t i = 0; i < group->n_ids; i++) {
        if (group->ids[i] != id)
            continue;
        r->n_same++;
        return r->way == BY_TEXT
                   ? EXIT_DONE
                   : fail_input("%s: token id %ld is in this group already", place, (long)id);
    }
    int32_t *ids = reallocate((void *)group->ids, group->n_ids + 1, sizeof *ids);
    ids[group->n_ids++] = id;
    group->ids = ids;
    return EXIT_DONE;
}

static int read_row(reading *r, size_t row, groups *g) {
    size_t n_name;
    char line[32];
    int32_t id = 0;
    const char *name = plens_table_cell(r->table, row, r->name_column, &n_name);
    const char *cell = plens_table_cell(r->table, row, r->token_column, NULL);
    snprintf(line, sizeof line, ":%zu", plens_table_line(r->table, row));
    char *place = join(r->path, line, NULL);
    int code = n_name > 0 ? read_token(r, place, cell, &id)
                          : fail_input("%s: the group has no name", place);
    if (code == EXIT_DONE)
        code = add_token(r, group_named(g, name), place, id);
    free(place);
    return code;
}

int groups_read(session *s, const char *path, groups *g) {
    plens_error error;
    plens_table *table = NULL;
    memset(g, 0, sizeof *g);
    if (plens_table_open(s->context, path, &table, &error) != PLENS_OK)
        return fail_error(&error);
    reading r = {.s = s, .path = path, .table = table};
    size_t n_rows = plens_table_rows(table);
    int code = find_columns(&r);
    if (code == EXIT_DONE && n_rows == 0)
        code = fail_input("%s: there are no groups in it", path);
    for (size_t row = 0; row < n_rows && code == EXIT_DONE; row++)
        code = read_row(&r, row, g);
    if (code == EXIT_DONE && r.n_long > 0 && !s->options.quiet)
        say("%s: %zu of %zu texts are several tokens, the first stands for them; %zu share one "
            "that their group has already",
            path, r.n_long, n_rows, r.n_same);
    plens_table_close(table);
    return code;
}

void groups_free(groups *g) {
    for (size_t i = 0; i < g->n_groups; i++) {
        free(g->names[i]);
        free((void *)g->items[i].ids);
    }
    free(g->names);
    free(g->items);
    memset(g, 0, sizeof *g);
}
