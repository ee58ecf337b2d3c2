/* The folder of one shard of a score. */
#include "tests/harness/piece.h"

#include <stdlib.h>
#include <string.h>

#include "tests/harness/input.h"
#include "tests/harness/memory.h"
#include "tests/harness/message.h"
#include "tests/harness/system.h"

static int read_lines(lines *l, const char *folder, const char *name) {
    size_t count;
    l->path = join(folder, "/", name, NULL);
    int code = input_read(l->path, "", &l->bytes, &count);
    if (code != EXIT_DONE)
        return code;
    if (count == 0 || l->bytes[count - 1] != '\n' || strlen(l->bytes) != count)
        return fail_input("%s: is cut short: expected lines of text", l->path);
    for (size_t i = 0; i < count; i++)
        l->count += l->bytes[i] == '\n';
    l->items = allocate(l->count, sizeof *l->items);
    char *at = l->bytes;
    for (size_t i = 0; i < l->count; i++) {
        l->items[i] = at;
        at = strchr(at, '\n');
        *at++ = '\0';
    }
    return EXIT_DONE;
}

static int read_run_json(piece *p) {
    size_t count;
    char *path = join(p->folder, "/run.json", NULL), *machine = NULL, *end = NULL;
    int code = input_read(path, "; is the shard finished?", &p->run_json, &count);
    if (code == EXIT_DONE && input_cut_run_json(p->run_json, &machine))
        end = strrchr(machine, '}');
    while (end != NULL && end > machine && end[-1] == '\n')
        *--end = '\0'; /* the outer brace and the line feed in front of it */
    if (code == EXIT_DONE && (end == NULL || end == machine || end[-1] != '}'))
        code = fail_input("%s: expected a run of plens score", path);
    p->machine = machine;
    free(path);
    return code;
}

const char *piece_value(const piece *p, size_t i, const char *key) {
    const lines *about = &p->about;
    size_t length = strlen(key);
    if (i >= about->count || strncmp(about->items[i], key, length) != 0)
        return NULL;
    return about->items[i][length] == '\t' ? about->items[i] + length + 1 : NULL;
}

int piece_read(piece *p, const char *folder) {
    p->folder = folder;
    int code = read_run_json(p);
    char *path = join(folder, "/shard.tsv", NULL);
    if (code == EXIT_DONE && !system_exists(path))
        code =
            fail_input("%s: holds a whole run, expected a shard (there is no shard.tsv)", folder);
    free(path);
    if (code == EXIT_DONE)
        code = read_lines(&p->about, folder, "shard.tsv");
    if (code == EXIT_DONE)
        code = read_lines(&p->prompts, folder, "prompts.tsv");
    if (code == EXIT_DONE)
        code = read_lines(&p->layers, folder, "layers.tsv");
    if (code != EXIT_DONE)
        return code;
    const char *text = piece_value(p, 1, "shard");
    if (text == NULL || !shard_read(&p->shard, text))
        return fail_input("%s:2: expected the shard as I/N", p->about.path);
    for (p->first_prompt = 2; p->first_prompt < p->about.count; p->first_prompt++) {
        if (piece_value(p, p->first_prompt, "prompt") != NULL)
            break;
    }
    if (p->prompts.count - 1 != p->about.count - p->first_prompt)
        return fail_input("%s: expected %zu rows, as shard.tsv has, found %zu", p->prompts.path,
                          p->about.count - p->first_prompt, p->prompts.count - 1);
    return EXIT_DONE;
}

static void lines_free(lines *l) {
    free(l->path);
    free(l->bytes);
    free(l->items);
}

void piece_free(piece *p) {
    free(p->run_json);
    lines_free(&p->about);
    lines_free(&p->prompts);
    lines_free(&p->layers);
}

/* The number of the first line that differs, and the lines, for a message. */
static int fail_foreign(const piece *p, const piece *first, const char *what, const char *found,
                        const char *expected) {
    while (*found != '\0' && *found == *expected) {
        found++;
        expected++;
    }
    return fail_input("%s: is a shard of another run than %s: %s differs: \"%.40s\" and \"%.40s\"",
                      p->folder, first->folder, what, found, expected);
}

int piece_check_like(const piece *p, const piece *first) {
    if (p->shard.count != first->shard.count)
        return fail_input("%s: is shard %zu/%zu, but %s is %zu/%zu", p->folder, p->shard.index,
                          p->shard.count, first->folder, first->shard.index, first->shard.count);
    if (strcmp(p->run_json, first->run_json) != 0)
        return fail_foreign(p, first, "run.json", p->run_json, first->run_json);
    for (size_t i = 2; i < p->first_prompt || i < first->first_prompt; i++) {
        const char *found = i < p->first_prompt ? p->about.items[i] : "";
        const char *expected = i < first->first_prompt ? first->about.items[i] : "";
        if (strcmp(found, expected) != 0)
            return fail_foreign(p, first, "shard.tsv", found, expected);
    }
    if (strcmp(p->prompts.items[0], first->prompts.items[0]) != 0)
        return fail_foreign(p, first, "prompts.tsv", p->prompts.items[0], first->prompts.items[0]);
    if (strcmp(p->layers.items[0], first->layers.items[0]) != 0)
        return fail_foreign(p, first, "layers.tsv", p->layers.items[0], first->layers.items[0]);
    return EXIT_DONE;
}
