/* A strict JSON parser (RFC 8259) for input that may be hostile: bounded depth, numbers by the
 * grammar, UTF-8 checked, no trailing commas or bytes. Built once, read only afterwards. */
#ifndef PLENS_LOADERS_JSON_H
#define PLENS_LOADERS_JSON_H

#include "loaders/base.h"

#define PLENS__JSON_DEPTH 64

typedef enum plens__json_type {
    PLENS__JSON_NULL,
    PLENS__JSON_FALSE,
    PLENS__JSON_TRUE,
    PLENS__JSON_NUMBER,
    PLENS__JSON_STRING,
    PLENS__JSON_ARRAY,
    PLENS__JSON_OBJECT
} plens__json_type;

/* Members of arrays and objects are a linked list in the order of the text. */
typedef struct plens__json plens__json;
struct plens__json {
    plens__json_type type;
    size_t offset;            /* of its first byte in the text */
    const char *key;          /* in an object: zero-terminated UTF-8, NULL otherwise */
    size_t key_length;        /* a key may hold zero bytes */
    const char *text;         /* STRING: decoded UTF-8, zero-terminated; NUMBER: as written */
    size_t length;            /* of text */
    const plens__json *first; /* ARRAY, OBJECT: the first member */
    const plens__json *next;
    size_t count; /* ARRAY, OBJECT: members */
};

/* Parses text [n_bytes]. Nodes and strings live in arena. `file` names the text in messages, which
 * give the byte's offset, what was expected and what was found. A lone surrogate escape is an
 * error. Duplicate keys are kept (see plens__json_no_duplicates). */
plens_status plens__json_parse(plens__arena *arena, const char *file, const char *text,
                               size_t n_bytes, const plens__json **root, plens_error *error);

/* The same for the file at path. */
plens_status plens__json_load(plens__arena *arena, const char *path, const plens__json **root,
                              plens_error *error);

/* FORMAT if any object in the tree names a member twice (keys are sorted: n log n). */
plens_status plens__json_no_duplicates(const plens_allocator *allocator, const char *file,
                                       const plens__json *root, plens_error *error);

/* The member, or NULL if object is no object or has none. Linear. */
const plens__json *plens__json_get(const plens__json *object, const char *key);

/* The value that a path of names and numbers joined by "/" leads to, NULL if there is none, and as
 * plens_json_find (plens.h) hands it out. */
const plens__json *plens__json_find(const plens__json *value, const char *path);
plens_status plens__json_find_text(const plens_allocator *allocator, const char *json,
                                   size_t n_bytes, const char *path, plens_json_kind *kind,
                                   plens_text *text, plens_error *error);

/* As plens_json_to_text and plens_json_to_ids hand them out. */
plens_status plens__json_to_text(const plens_allocator *allocator, const char *json, size_t n_bytes,
                                 plens_text *text, plens_error *error);
plens_status plens__json_to_ids(const plens_allocator *allocator, const char *json, size_t n_bytes,
                                plens_ids *ids, plens_error *error);

int plens__json_is_string(const plens__json *value, const char *text); /* a string equal to text */

/* Numbers. 0 if value is NULL, no number, or does not fit exactly ("1.0" and "1e2" are integers to
 * neither; a double out of range does not fit). The double is correctly rounded, without the
 * locale. */
int plens__json_u64(const plens__json *value, uint64_t *out);
int plens__json_i64(const plens__json *value, int64_t *out);
int plens__json_double(const plens__json *value, double *out);

/* For messages: null, true, 12, "text" (cut where it is long), "an array of 3", "an object of 3";
 * "nothing" for NULL. Returns out. */
#define PLENS__JSON_SHOWN 80
const char *plens__json_show(const plens__json *value, char out[PLENS__JSON_SHOWN]);

/* Correctly rounded decimal to double for text by JSON's grammar for numbers; 0 if it overflows. */
int plens__decimal_to_double(const char *text, size_t n, double *out);

#endif
