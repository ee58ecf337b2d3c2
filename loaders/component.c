#include "loaders/component.h"

#include <string.h>

#include "loaders/utf8.h"

plens_status plens__part_expected(const plens__part *part, const plens__json *at,
                                  const char *what) {
    return plens__fail(part->error, PLENS_ERROR_FORMAT, "%s: %s: byte %zu: expected %s", part->file,
                       part->name, at->offset, what);
}

plens_status plens__part_unknown(const plens__part *part, const char *key,
                                 const plens__json *value) {
    const char *text = value->type == PLENS__JSON_STRING ? value->text : "(no string)";
    return plens__fail(part->error, PLENS_ERROR_UNSUPPORTED, "%s: %s: %s \"%s\" is not known",
                       part->file, part->name, key, text);
}

plens_status plens__part_no_memory(const plens__part *part) {
    return plens__fail(part->error, PLENS_ERROR_MEMORY, "%s: %s: out of memory", part->file,
                       part->name);
}

plens_status plens__part_type(const plens__part *part, const plens__json *component,
                              const plens__json **type) {
    *type = plens__json_get(component, "type");
    if (*type == NULL || (*type)->type != PLENS__JSON_STRING)
        return plens__part_expected(part, component, "an object with a \"type\"");
    return PLENS_OK;
}

/* FORMAT: "expected KEY to be WHAT". */
static plens_status expected_member(const plens__part *part, const plens__json *component,
                                    const char *key, const char *what) {
    const plens__json *found = plens__json_get(component, key);
    return plens__fail(part->error, PLENS_ERROR_FORMAT,
                       "%s: %s: byte %zu: expected \"%s\" to be %s%s", part->file, part->name,
                       found != NULL ? found->offset : component->offset, key, what,
                       found != NULL ? "" : ", found no such member");
}

plens_status plens__part_bool(const plens__part *part, const plens__json *component,
                              const char *key, int fallback, int *value) {
    const plens__json *found = plens__json_get(component, key);
    if (fallback >= 0 && (found == NULL || found->type == PLENS__JSON_NULL)) {
        *value = fallback;
        return PLENS_OK;
    }
    if (found == NULL || (found->type != PLENS__JSON_TRUE && found->type != PLENS__JSON_FALSE))
        return expected_member(part, component, key, "true or false");
    *value = found->type == PLENS__JSON_TRUE;
    return PLENS_OK;
}

plens_status plens__part_string(const plens__part *part, const plens__json *component,
                                const char *key, const plens__json **value) {
    *value = plens__json_get(component, key);
    if (*value == NULL || (*value)->type != PLENS__JSON_STRING)
        return expected_member(part, component, key, "a string");
    return PLENS_OK;
}

plens_status plens__part_size(const plens__part *part, const plens__json *component,
                              const char *key, size_t *value) {
    uint64_t wide;
    if (!plens__json_u64(plens__json_get(component, key), &wide) || wide > SIZE_MAX)
        return expected_member(part, component, key, "an integer from 0");
    *value = (size_t)wide;
    return PLENS_OK;
}

plens_status plens__part_character(const plens__part *part, const plens__json *component,
                                   const char *key, const plens__json **value) {
    plens_status status = plens__part_string(part, component, key, value);
    uint32_t c;
    if (status == PLENS_OK &&
        ((*value)->length == 0 ||
         plens__utf8_decode((*value)->text, (*value)->length, &c) != (*value)->length))
        return expected_member(part, component, key, "one character");
    return status;
}

plens_status plens__part_copy(const plens__part *part, const plens__json *string, const char **text,
                              size_t *n) {
    *text = plens__arena_copy(part->arena, string->text, string->length);
    *n = string->length;
    return *text == NULL ? plens__part_no_memory(part) : PLENS_OK;
}

plens_status plens__part_literal(const plens__part *part, const plens__json *string,
                                 plens__regex *pattern) {
    const char *text;
    size_t n;
    plens_status status = plens__part_copy(part, string, &text, &n);
    if (status == PLENS_OK)
        *pattern = plens__regex_literal(text, n);
    return status;
}

plens_status plens__part_pattern(const plens__part *part, const plens__json *component,
                                 plens__regex *pattern) {
    const plens__json *member = plens__json_get(component, "pattern");
    const plens__json *string = member == NULL ? NULL : plens__json_get(member, "String");
    const plens__json *regex = member == NULL ? NULL : plens__json_get(member, "Regex");
    const plens__json *found = string != NULL ? string : regex;
    if (found == NULL || found->type != PLENS__JSON_STRING || member->count != 1)
        return expected_member(part, component, "pattern", "{\"String\": …} or {\"Regex\": …}");
    if (string == NULL || string->length == 0)
        return plens__regex_compile(part->arena, part->file, found->text, found->length, pattern,
                                    part->error);
    return plens__part_literal(part, string, pattern);
}

/* prepend_scheme, or add_prefix_space as older files have it. */
static plens_status read_prepend(const plens__part *part, const plens__json *component,
                                 plens__prepend *prepend) {
    const plens__json *scheme = plens__json_get(component, "prepend_scheme");
    int add_prefix_space = 1;
    plens_status status =
        plens__part_bool(part, component, "add_prefix_space", 1, &add_prefix_space);
    if (status != PLENS_OK)
        return status;
    if (scheme == NULL)
        *prepend = add_prefix_space ? PLENS__PREPEND_ALWAYS : PLENS__PREPEND_NEVER;
    else if (plens__json_is_string(scheme, "always"))
        *prepend = PLENS__PREPEND_ALWAYS;
    else if (plens__json_is_string(scheme, "first"))
        *prepend = PLENS__PREPEND_FIRST;
    else if (plens__json_is_string(scheme, "never"))
        *prepend = PLENS__PREPEND_NEVER;
    else
        return plens__part_unknown(part, "prepend_scheme", scheme);
    if (!add_prefix_space && *prepend != PLENS__PREPEND_NEVER)
        return plens__part_expected(part, scheme,
                                    "\"prepend_scheme\" never, as \"add_prefix_space\" is false");
    return PLENS_OK;
}

plens_status plens__part_metaspace(const plens__part *part, const plens__json *component,
                                   plens__metaspace *metaspace) {
    const plens__json *replacement;
    plens_status status = plens__part_character(part, component, "replacement", &replacement);
    if (status == PLENS_OK)
        status = read_prepend(part, component, &metaspace->prepend);
    if (status == PLENS_OK)
        status = plens__part_bool(part, component, "split", 1, &metaspace->split);
    if (status != PLENS_OK)
        return status;
    return plens__part_copy(part, replacement, &metaspace->replacement, &metaspace->n);
}

/* The members of a Sequence, or NULL if component is none. */
static const plens__json *sequence_members(const plens__json *component, const char *members) {
    if (!plens__json_is_string(plens__json_get(component, "type"), "Sequence"))
        return NULL;
    return plens__json_get(component, members);
}

plens_status plens__part_walk(const plens__part *part, const plens__json *component,
                              const char *members, plens__part_visit *visit, void *user) {
    const plens__json *type;
    if (component == NULL || component->type == PLENS__JSON_NULL)
        return PLENS_OK;
    plens_status status = plens__part_type(part, component, &type);
    if (status != PLENS_OK)
        return status;
    if (!plens__json_is_string(type, "Sequence"))
        return visit(part, component, type, user);
    const plens__json *list = sequence_members(component, members);
    if (list == NULL || list->type != PLENS__JSON_ARRAY)
        return expected_member(part, component, members, "an array");
    for (const plens__json *member = list->first; member != NULL; member = member->next) {
        if (member->type != PLENS__JSON_OBJECT)
            return plens__part_expected(part, member, "an object with a \"type\"");
        status = plens__part_walk(part, member, members, visit, user);
        if (status != PLENS_OK)
            return status;
    }
    return PLENS_OK;
}

size_t plens__part_count(const plens__json *component, const char *members) {
    if (component == NULL || component->type == PLENS__JSON_NULL)
        return 0;
    const plens__json *list = sequence_members(component, members);
    if (list == NULL || list->type != PLENS__JSON_ARRAY)
        return 1;
    size_t count = 0;
    for (const plens__json *member = list->first; member != NULL; member = member->next)
        count += plens__part_count(member, members);
    return count;
}
