#include "tests/harness/questions.h"

#include <stdlib.h>
#include <string.h>

#include "tests/harness/message.h"

static int read_file(questions *q, const session *s, const char *path) {
    static const char *const names[] = {"id", "task", "persona", "prompt", "gold"};
    plens_error error;
    size_t columns[5];
    data_file *file = &q->files[q->n_files];
    file->path = path;
    if (plens_table_open(s->context, path, &file->table, &error) != PLENS_OK)
        return fail_error(&error);
    q->n_files++;
    file->n_rows = plens_table_rows(file->table);
    for (size_t c = 0; c < 5; c++) {
        if (plens_table_column(file->table, names[c], &columns[c], &error) != PLENS_OK)
            return fail_error(&error);
    }
    q->items = reallocate(q->items, q->count + file->n_rows, sizeof *q->items);
    for (size_t row = 0; row < file->n_rows; row++) {
        question *item = &q->items[q->count++];
        const char **cells[] = {&item->id, &item->task, &item->persona, &item->prompt, &item->gold};
        for (size_t c = 0; c < 5; c++)
            *cells[c] = plens_table_cell(file->table, row, columns[c], NULL);
        item->path = path;
        item->line = plens_table_line(file->table, row);
        if (item->id[0] == '\0')
            return fail_input("%s:%zu: the id is empty", path, item->line);
        if (item->prompt[0] == '\0')
            return fail_input("%s:%zu: the prompt is empty", path, item->line);
    }
    return EXIT_DONE;
}

/* Orders questions by id, equal ones as they stand in the data. */
static int compare_ids(const void *a, const void *b) {
    const question *one = *(const question *const *)a, *other = *(const question *const *)b;
    int order = strcmp(one->id, other->id);
    return order != 0 ? order : (one > other) - (one < other);
}

/* EXIT_INPUT naming both lines of the first id that occurs a second time. */
static int check_unique(const questions *q) {
    const question **sorted = allocate(q->count, sizeof *sorted);
    const question *first = NULL, *second = NULL;
    for (size_t i = 0; i < q->count; i++)
        sorted[i] = &q->items[i];
    qsort(sorted, q->count, sizeof *sorted, compare_ids);
    for (size_t i = 1; i < q->count; i++) {
        if (strcmp(sorted[i - 1]->id, sorted[i]->id) == 0 &&
            (second == NULL || sorted[i] < second)) {
            first = sorted[i - 1];
            second = sorted[i];
        }
    }
    free(sorted);
    if (second == NULL)
        return EXIT_DONE;
    return fail_input("%s:%zu: the id '%s' is taken: it stands at %s:%zu too", second->path,
                      second->line, second->id, first->path, first->line);
}

static void list_tasks(questions *q) {
    for (size_t i = 0; i < q->count; i++) {
        size_t task = 0;
        while (task < q->n_tasks && strcmp(q->tasks[task], q->items[i].task) != 0)
            task++;
        q->items[i].task_index = task;
        if (task < q->n_tasks)
            continue;
        q->tasks = reallocate(q->tasks, q->n_tasks + 1, sizeof *q->tasks);
        q->tasks[q->n_tasks++] = q->items[i].task;
    }
}

int questions_read(questions *q, const session *s, const option_texts *paths) {
    memset(q, 0, sizeof *q);
    q->files = allocate(paths->count, sizeof *q->files);
    for (size_t i = 0; i < paths->count; i++) {
        int code = read_file(q, s, paths->items[i]);
        if (code != EXIT_DONE)
            return code;
    }
    if (q->count == 0)
        return fail_input("%s: no questions: expected at least one row after the header",
                          paths->items[0]);
    list_tasks(q);
    return check_unique(q);
}

void questions_free(questions *q) {
    for (size_t i = 0; i < q->n_files; i++)
        plens_table_close(q->files[i].table);
    free(q->files);
    free(q->items);
    free(q->tasks);
}

uint64_t questions_fingerprint(const questions *q) {
    uint64_t hash = 0xCBF29CE484222325u;
    for (size_t i = 0; i < q->count; i++) {
        const question *item = &q->items[i];
        const char *cells[] = {item->id, item->task, item->persona, item->prompt, item->gold};
        for (size_t c = 0; c < 5; c++) {
            for (const char *at = cells[c];; at++) { /* the closing zero parts the cells */
                hash = (hash ^ (unsigned char)*at) * 0x100000001B3u;
                if (*at == '\0')
                    break;
            }
        }
    }
    return hash;
}
