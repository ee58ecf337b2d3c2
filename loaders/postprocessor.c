#include "loaders/postprocessor.h"

typedef struct reader {
    plens__buffer ids; /* of int32_t: the template so far */
    const plens__token_table *tokens;
    int found; /* a component that adds ids has been read */
} reader;

static plens_status add_id(const plens__part *part, const plens__json *at, reader *r) {
    uint64_t id;
    if (!plens__json_u64(at, &id) || id >= r->tokens->n_ids ||
        plens__token_table_find(r->tokens, (int32_t)id) == NULL)
        return plens__part_expected(part, at, "the id of a token");
    int32_t narrow = (int32_t)id;
    return plens__buffer_append(&r->ids, (const char *)&narrow, sizeof narrow)
               ? PLENS_OK
               : plens__part_no_memory(part);
}

static plens_status add_text(const plens__part *part, reader *r) {
    const int32_t text = PLENS__TEMPLATE_TEXT;
    return plens__buffer_append(&r->ids, (const char *)&text, sizeof text)
               ? PLENS_OK
               : plens__part_no_memory(part);
}

/* "special_tokens": {NAME: {"ids": […], …}}; a piece names one of them. */
static plens_status add_special(const plens__part *part, const plens__json *component,
                                const plens__json *piece, reader *r) {
    const plens__json *name = plens__json_get(piece, "id");
    const plens__json *known = plens__json_get(component, "special_tokens");
    const plens__json *token = NULL;
    if (name != NULL && name->type == PLENS__JSON_STRING)
        token = plens__json_get(known, name->text);
    const plens__json *ids = plens__json_get(token, "ids");
    if (ids == NULL || ids->type != PLENS__JSON_ARRAY)
        return plens__part_expected(part, piece, "a token listed in \"special_tokens\"");
    plens_status status = PLENS_OK;
    for (const plens__json *id = ids->first; id != NULL && status == PLENS_OK; id = id->next)
        status = add_id(part, id, r);
    return status;
}

static plens_status read_template(const plens__part *part, const plens__json *component,
                                  reader *r) {
    const plens__json *single = plens__json_get(component, "single");
    if (single == NULL || single->type != PLENS__JSON_ARRAY)
        return plens__part_expected(part, component, "a template with \"single\": an array");
    plens_status status = PLENS_OK;
    for (const plens__json *piece = single->first; piece != NULL && status == PLENS_OK;
         piece = piece->next) {
        const plens__json *text = plens__json_get(piece, "Sequence");
        const plens__json *special = plens__json_get(piece, "SpecialToken");
        if (text != NULL && plens__json_is_string(plens__json_get(text, "id"), "A"))
            status = add_text(part, r);
        else if (special != NULL)
            status = add_special(part, component, special, r);
        else
            status = plens__part_expected(part, piece, "the sequence \"A\" or a special token");
    }
    return status;
}

/* "cls" and "sep" are ["token", id]; the text stands between. */
static plens_status read_pair(const plens__part *part, const plens__json *component,
                              const char *key, reader *r) {
    const plens__json *pair = plens__json_get(component, key);
    if (pair == NULL || pair->type != PLENS__JSON_ARRAY || pair->count != 2)
        return plens__part_expected(part, component,
                                    "\"cls\" and \"sep\", each a token and its id");
    return add_id(part, pair->first->next, r);
}

static plens_status read_bert(const plens__part *part, const plens__json *component, reader *r) {
    plens_status status = read_pair(part, component, "cls", r);
    if (status == PLENS_OK)
        status = add_text(part, r);
    return status != PLENS_OK ? status : read_pair(part, component, "sep", r);
}

static plens_status read_component(const plens__part *part, const plens__json *component,
                                   const plens__json *type, void *user) {
    reader *r = user;
    if (plens__json_is_string(type, "ByteLevel"))
        return PLENS_OK;
    int is_template = plens__json_is_string(type, "TemplateProcessing");
    if (!is_template && !plens__json_is_string(type, "BertProcessing") &&
        !plens__json_is_string(type, "RobertaProcessing"))
        return plens__part_unknown(part, "type", type);
    if (r->found) /* the reference takes the first one's pieces for several texts */
        return plens__fail(part->error, PLENS_ERROR_UNSUPPORTED,
                           "%s: %s: two components of a Sequence add tokens", part->file,
                           part->name);
    r->found = 1;
    return is_template ? read_template(part, component, r) : read_bert(part, component, r);
}

plens_status plens__postprocessor_read(const plens__part *part, const plens__json *json,
                                       const plens__token_table *tokens,
                                       plens__postprocessor *postprocessor) {
    reader r = {{part->arena->allocator, NULL, 0, 0}, tokens, 0};
    plens_status status = plens__part_walk(part, json, "processors", read_component, &r);
    if (status == PLENS_OK && !r.found)
        status = add_text(part, &r);
    if (status == PLENS_OK) {
        const char *copy = plens__arena_copy(part->arena, r.ids.data, r.ids.count);
        postprocessor->template_ids = (int32_t *)(void *)copy;
        postprocessor->n_template = r.ids.count / sizeof(int32_t);
        if (copy == NULL)
            status = plens__part_no_memory(part);
    }
    plens__buffer_free(&r.ids);
    return status;
}

int plens__postprocessor_apply(const plens__postprocessor *postprocessor, const int32_t *ids,
                               size_t n, int special, plens__buffer *out) {
    for (size_t i = 0; i < postprocessor->n_template; i++) {
        const int32_t *id = &postprocessor->template_ids[i];
        int ok = 1;
        if (*id == PLENS__TEMPLATE_TEXT)
            ok = plens__buffer_append(out, (const char *)ids, n * sizeof *ids);
        else if (special)
            ok = plens__buffer_append(out, (const char *)id, sizeof *id);
        if (!ok)
            return 0;
    }
    return 1;
}
