/* loaders/safetensors.c: what the reference implementation accepts and refuses. */
#define _XOPEN_SOURCE 700
#include "loaders/checkpoint.h"

#include "tests/faults.h"
#include "tests/folder.h"
#include "tests/heap.h"
#include "tests/test.h"

static char folder[1024];

typedef struct parsed {
    plens__file file;
    plens__arena arena;
    plens__tensor *tensors;
    size_t n;
    plens_error error;
} parsed;

static void finish(parsed *p) {
    plens__free(&heap, p->tensors);
    plens__arena_free(&p->arena);
    plens__file_close(&p->file);
}

static plens_status parse_file(parsed *p) {
    char path[2048];
    snprintf(path, sizeof path, "%s/f", folder);
    memset(p, 0, sizeof *p);
    p->arena.allocator = &heap;
    plens_status status = plens__file_open(&heap, path, &p->file, &p->error);
    return status != PLENS_OK
               ? status
               : plens__safetensors_parse(&p->arena, &p->file, 3, &p->tensors, &p->n, &p->error);
}

static plens_status parse_header(parsed *p, const char *header, size_t n_data) {
    folder_write_safetensors(folder, "f", header, n_data);
    return parse_file(p);
}

static plens_status parse_bytes(parsed *p, const void *bytes, size_t n) {
    folder_write(folder, "f", bytes, n);
    return parse_file(p);
}

/* Guards offsets, order, shapes and types of what is valid: unaligned data, padding, metadata, a
 * scalar, tensors of no bytes, dtypes that plens only passes over. */
static void valid_files_are_read(void) {
    parsed p;
    const char *header = "{\"__metadata__\":{\"format\":\"pt\"},"
                         "\"b\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[5,17]},"
                         "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[1,5]},"
                         "\"c\":{\"dtype\":\"F16\",\"shape\":[4,0,7],\"data_offsets\":[17,17]},"
                         "\"d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                         "\"e\":{\"data_offsets\":[17,20],\"dtype\":\"F6_E2M3\",\"shape\":[4]},"
                         "\"f\":{\"dtype\":\"F4\",\"shape\":[2],\"data_offsets\":[20,21]}}   ";
    CHECK_OK(parse_header(&p, header, 21), p.error);
    static const struct {
        const char *name, *dtype_name;
        int dtype;
        size_t rank, offset, n_bytes;
    } expected[] = {{"d", "U8", 0, 1, 0, 1},
                    {"a", "F32", PLENS_F32, 0, 1, 4},
                    {"b", "BF16", PLENS_BF16, 2, 5, 12},
                    {"c", "F16", PLENS_F16, 3, 17, 0},
                    {"e", "F6_E2M3", 0, 1, 17, 3},
                    {"f", "F4", 0, 1, 20, 1}};
    CHECK_INT(p.n, 6);
    for (size_t i = 0; i < p.n; i++) {
        CHECK_STRING(p.tensors[i].name, expected[i].name);
        CHECK_STRING(p.tensors[i].dtype_name, expected[i].dtype_name);
        CHECK_INT(p.tensors[i].dtype, expected[i].dtype);
        CHECK_INT(p.tensors[i].rank, expected[i].rank);
        CHECK_INT(p.tensors[i].offset, 8 + strlen(header) + expected[i].offset);
        CHECK_INT(p.tensors[i].n_bytes, expected[i].n_bytes);
        CHECK_INT(p.tensors[i].shard, 3);
    }
    CHECK_INT(p.tensors[2].shape[0], 2);
    CHECK_INT(p.tensors[2].shape[1], 3);
    finish(&p);
    CHECK_OK(parse_header(&p, "{}", 0), p.error);
    CHECK_INT(p.n, 0);
    finish(&p);
}

/* Guards the reference's rules for sizes of each dtype. */
static void every_dtype_has_its_size(void) {
    static const struct {
        const char *name;
        size_t bytes_of_8;
    } dtypes[] = {{"F64", 64},    {"I64", 64},    {"U64", 64},    {"C64", 64},    {"F32", 32},
                  {"I32", 32},    {"U32", 32},    {"F16", 16},    {"BF16", 16},   {"I16", 16},
                  {"U16", 16},    {"I8", 8},      {"U8", 8},      {"BOOL", 8},    {"F8_E4M3", 8},
                  {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4}};
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        char header[256];
        parsed p;
        snprintf(header, sizeof header,
                 "{\"x\":{\"dtype\":\"%s\",\"shape\":[8],\"data_offsets\":[0,%zu]}}",
                 dtypes[i].name, dtypes[i].bytes_of_8);
        CHECK_THAT(parse_header(&p, header, dtypes[i].bytes_of_8) == PLENS_OK, "%s: %s",
                   dtypes[i].name, p.error.message);
        finish(&p);
    }
}

/* Guards every rule that the reference enforces; each case breaks one. */
static void broken_headers_are_refused(void) {
#define T(dtype, shape, span)                                                                      \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" span "}"
    static const struct {
        const char *header;
        size_t n_data;
        const char *message;
    } cases[] = {
        {"{", 0, "expected a key in double quotes"},
        {"", 0, "expected a header that begins with '{'"},
        {" {}", 0, "expected a header that begins with '{'"},
        {"[]", 0, "expected a header that begins with '{'"},
        {"{}x", 0, "expected the end of the text, found 'x'"},
        {"{\"\xff\":1}", 0, "expected valid UTF-8"},
        {"{\"x\":1}", 0, "tensor \"x\": its entry: expected an object, found 1"},
        {"{\"x\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
         "tensor \"x\": dtype: expected a type of the format"},
        {"{\"x\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4,
         "tensor \"x\": shape: expected an array, found nothing"},
        {"{\"x\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4,
         "data_offsets: expected an array of two integers, found nothing"},
        {"{\"x\":" T("F31", "[1]", "[0,4]") "}", 4, "found \"F31\""},
        {"{\"x\":" T("F32", "[1.0]", "[0,4]") "}", 4,
         "shape: expected integers from 0 to 2^64-1, found 1.0"},
        {"{\"x\":" T("F32", "[-1]", "[0,4]") "}", 4, "found -1"},
        {"{\"x\":" T("F32", "1", "[0,4]") "}", 4, "shape: expected an array, found 1"},
        {"{\"x\":" T("F32", "[1]", "[0,4,4]") "}", 4,
         "expected an array of two integers, found an array"},
        {"{\"x\":" T("F32", "[1]", "[-4,0]") "}", 4,
         "data_offsets: expected integers from 0 to 2^64-1, found -4"},
        {"{\"x\":" T("F32", "[1]", "[0,\"4\"]") "}", 4, "found \"4\""},
        {"{\"x\":" T("F32", "[1]", "[4,0]") "}", 4,
         "expected an end not before the begin, found 0"},
        {"{\"x\":" T("F32", "[2]", "[0,4]") "}", 4, "expected 8 bytes (shape and dtype), found 4"},
        {"{\"x\":" T("F32", "[1]", "[0,8]") "}", 8, "expected 4 bytes (shape and dtype), found 8"},
        {"{\"x\":" T("F32", "[2,18446744073709551614]", "[0,4]") "}", 4, "below 2^64 bits"},
        {"{\"x\":" T("F32", "[2,9223372036854775807]", "[0,4]") "}", 4, "below 2^64 bits"},
        {"{\"x\":" T("F32", "[18446744073709551616]", "[0,4]") "}", 4,
         "found 18446744073709551616"},
        {"{\"x\":" T("F4", "[3]", "[0,2]") "}", 2, "expected whole bytes of F4, found 12 bits"},
        {"{\"x\":" T("F6_E3M2", "[1]", "[0,1]") "}", 1,
         "expected whole bytes of F6_E3M2, found 6 bits"},
        {"{\"x\":" T("U8", "[4]", "[0,4]") ",\"x\":" T("U8", "[4]", "[4,8]") "}", 8,
         "found \"x\" again"},
        {"{\"x\":{\"dtype\":\"U8\",\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
         "found \"dtype\" again"},
        {"{\"x\":" T("U8", "[4]", "[0,4]") ",\"y\":" T("U8", "[4]", "[0,4]") "}", 4,
         "tensor \"y\": data_offsets: expected a begin of 4 (no holes, no overlaps), found 0"},
        {"{\"x\":" T("U8", "[4]", "[0,4]") ",\"y\":" T("U8", "[4]", "[2,6]") "}", 6,
         "expected a begin of 4 (no holes, no overlaps), found 2"},
        {"{\"x\":" T("U8", "[4]", "[0,4]") ",\"y\":" T("U8", "[4]", "[5,9]") "}", 9,
         "expected a begin of 4 (no holes, no overlaps), found 5"},
        {"{\"x\":" T("U8", "[4]", "[1,5]") "}", 5,
         "expected a begin of 0 (no holes, no overlaps), found 1"},
        {"{\"x\":" T("U8", "[4]", "[0,4]") "}", 5,
         "expected 4 bytes of data after the header, found 5 (trailing bytes)"},
        {"{\"x\":" T("U8", "[4]", "[0,4]") "}", 3,
         "expected 4 bytes of data after the header, found 3 (the file is cut short)"},
        {"{\"x\":" T("U8", "[18446744073709551615]", "[0,18446744073709551615]") "}", 4,
         "below 2^64 bits"},
        {"{}", 1, "expected 0 bytes of data after the header, found 1"},
        {"{\"__metadata__\":[]}", 0, "__metadata__: expected an object, found an array"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "__metadata__: \"a\": expected a string, found 1"},
        {"{\"a\\u0000b\":" T("U8", "[4]", "[0,4]") "}", 4, "expected no zero byte in its name"},
    };
#undef T
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        parsed p;
        plens_status status = parse_header(&p, cases[i].header, cases[i].n_data);
        CHECK_THAT(status == PLENS_ERROR_FORMAT, "%s: status %d", cases[i].header, (int)status);
        CHECK_CONTAINS(p.error.message, cases[i].message);
        CHECK_CONTAINS(p.error.message, folder);
        CHECK(p.tensors == NULL && p.n == 0);
        finish(&p);
    }
}

/* Guards the length in front of the header: too short a file, lengths beyond the file and limit. */
static void broken_lengths_are_refused(void) {
    static const struct {
        const char *bytes;
        size_t n;
        const char *message;
    } cases[] = {
        {"", 0, "expected the 8 bytes of a header's length, found 0 bytes"},
        {"\2\0\0\0\0\0\0", 7, "expected the 8 bytes of a header's length, found 7 bytes"},
        {"\2\0\0\0\0\0\0\0", 8, "inside the file's 8, found a length of 2"},
        {"\0\0\0\0\0\0\0\0", 8, "expected a header that begins with '{'"},
        {"\3\0\0\0\0\0\0\0{}", 10, "inside the file's 10, found a length of 3"},
        {"\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, "found a length of 18446744073709551615"},
        {"\1\xe1\xf5\5\0\0\0\0{}", 10,
         "at most 100000000 bytes inside the file's 10, found a length of 100000001"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        parsed p;
        CHECK_INT(parse_bytes(&p, cases[i].bytes, cases[i].n), PLENS_ERROR_FORMAT);
        CHECK_CONTAINS(p.error.message, cases[i].message);
        finish(&p);
    }
}

/* Guards the limit itself, where the file is as long as its header says: a sparse file. */
static void a_header_over_the_limit_is_refused(void) {
    parsed p;
    folder_write(folder, "f", "\1\xe1\xf5\5\0\0\0\0{}", 10);
    char path[2048];
    snprintf(path, sizeof path, "%s/f", folder);
    CHECK_INT(truncate(path, 8 + 100000001), 0);
    CHECK_INT(parse_file(&p), PLENS_ERROR_FORMAT);
    CHECK_CONTAINS(p.error.message, "found a length of 100000001");
    finish(&p);
}

/* Guards against quadratic time, and memory that grows with the overlap. */
static void many_overlapping_tensors_are_refused(void) {
    enum { COUNT = 100000 };
    char *header = malloc((size_t)COUNT * 80 + 2), *end = header;
    for (int i = 0; i < COUNT; i++)
        end += sprintf(end, "%c\"t%d\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}",
                       i == 0 ? '{' : ',', i);
    strcpy(end, "}");
    parsed p;
    CHECK_INT(parse_header(&p, header, 4), PLENS_ERROR_FORMAT);
    CHECK_CONTAINS(p.error.message, "tensor \"t1\": data_offsets: expected a begin of 4");
    free(header);
    finish(&p);
}

/* Guards "outputs untouched": tensors of an earlier file stay when a later one fails. */
static void a_failure_keeps_what_was_there(void) {
    parsed p;
    CHECK_OK(parse_header(&p, "{\"x\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4),
             p.error);
    plens__tensor *before = p.tensors;
    plens__file_close(&p.file);
    folder_write_safetensors(folder, "f",
                             "{\"y\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[1,5]}}", 5);
    char path[2048];
    snprintf(path, sizeof path, "%s/f", folder);
    CHECK_OK(plens__file_open(&heap, path, &p.file, &p.error), p.error);
    CHECK_INT(plens__safetensors_parse(&p.arena, &p.file, 4, &p.tensors, &p.n, &p.error),
              PLENS_ERROR_FORMAT);
    CHECK(p.tensors == before);
    CHECK_INT(p.n, 1);
    CHECK_STRING(p.tensors[0].name, "x");
    finish(&p);
}

int main(void) {
    folder_make(folder);
    RUN(valid_files_are_read);
    RUN(every_dtype_has_its_size);
    RUN(broken_headers_are_refused);
    RUN(broken_lengths_are_refused);
    RUN(a_header_over_the_limit_is_refused);
    RUN(many_overlapping_tensors_are_refused);
    RUN(a_failure_keeps_what_was_there);
    folder_remove(folder);
    return test_finish();
}
