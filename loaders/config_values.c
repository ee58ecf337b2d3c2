/* Values of config.json, one key at a time. */
#include "loaders/config_reader.h"

plens_status plens__config_fail(const plens__config_reader *r, plens_status status, const char *key,
                                const char *expected, const plens__json *found) {
    char shown[PLENS__JSON_SHOWN];
    return plens__fail(r->error, status, "%s: %s: expected %s, found %s", r->path, key, expected,
                       plens__json_show(found, shown));
}

int plens__config_is_given(const plens__json *value) {
    return value != NULL && value->type != PLENS__JSON_NULL;
}

plens_status plens__config_size(const plens__config_reader *r, const char *key, size_t least,
                                size_t fallback, size_t *size) {
    const plens__json *value = plens__json_get(r->root, key);
    uint64_t number;
    if (value == NULL && fallback > 0) {
        *size = fallback;
        return PLENS_OK;
    }
    if (!plens__json_u64(value, &number) || number < least || number > PLENS__CONFIG_MAX)
        return plens__config_fail(r, PLENS_ERROR_FORMAT, key,
                                  least > 0 ? "an integer from 1 to 2147483647"
                                            : "an integer from 0 to 2147483647",
                                  value);
    *size = (size_t)number;
    return PLENS_OK;
}

plens_status plens__config_flag(const plens__config_reader *r, const char *key, int fallback,
                                int *flag) {
    const plens__json *value = plens__json_get(r->root, key);
    if (value != NULL && value->type != PLENS__JSON_TRUE && value->type != PLENS__JSON_FALSE)
        return plens__config_fail(r, PLENS_ERROR_FORMAT, key, "true or false", value);
    *flag = value != NULL ? value->type == PLENS__JSON_TRUE : fallback;
    return PLENS_OK;
}

plens_status plens__config_positive(const plens__config_reader *r, const char *key,
                                    const plens__json *value, double *number) {
    double x;
    if (!plens__json_double(value, &x) || !(x > 0))
        return plens__config_fail(r, PLENS_ERROR_FORMAT, key, "a number above 0", value);
    *number = x;
    return PLENS_OK;
}
