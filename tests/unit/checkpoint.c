/* loaders/checkpoint.c: a folder's shards and their index. */
#define _XOPEN_SOURCE 700
#include "loaders/checkpoint.h"

#include "tests/faults.h"
#include "tests/folder.h"
#include "tests/heap.h"
#include "tests/test.h"

#define INDEX "model.safetensors.index.json"

static char folder[1024];
static plens__checkpoint checkpoint;
static plens_error failure;

/* Two shards: A with a.x (U8 [4]) and c.z (BF16 [2]), B with b.y (F32 [1]). */
static void write_shards(void) {
    folder_remove_file(folder, "model.safetensors");
    folder_write_safetensors(folder, "A.safetensors",
                             "{\"a.x\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]},"
                             "\"c.z\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]}}",
                             8);
    folder_write_safetensors(folder, "B.safetensors",
                             "{\"b.y\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
                             4);
    folder_write_text(
        folder, INDEX,
        "{\"metadata\":{\"total_size\":999},\"weight_map\":{\"c.z\":\"A.safetensors\","
        "\"b.y\":\"B.safetensors\",\"a.x\":\"A.safetensors\"}}");
}

static plens_status open_folder(void) {
    memset(&failure, 0, sizeof failure);
    return plens__checkpoint_open(&heap, folder, &checkpoint, &failure);
}

/* Guards names, order, offsets and bytes across shards; total_size is not held against them. */
static void shards_become_one_checkpoint(void) {
    write_shards();
    CHECK_OK(open_folder(), failure);
    CHECK_INT(checkpoint.n_shards, 2);
    CHECK_INT(checkpoint.n_tensors, 3);
    CHECK_INT(checkpoint.n_bytes, 12);
    CHECK_STRING(checkpoint.tensors[0].name, "a.x");
    CHECK_STRING(checkpoint.tensors[1].name, "b.y");
    CHECK_STRING(checkpoint.tensors[2].name, "c.z");
    const plens__tensor *x = plens__checkpoint_find(&checkpoint, "a.x");
    CHECK(x == &checkpoint.tensors[0]);
    CHECK(plens__checkpoint_find(&checkpoint, "a") == NULL);
    CHECK(plens__checkpoint_find(&checkpoint, "zz") == NULL);
    CHECK(plens__checkpoint_find(&checkpoint, "") == NULL);
    unsigned char bytes[2];
    CHECK_OK(plens__tensor_read(&checkpoint, x, 1, 2, bytes, &failure), failure);
    CHECK(bytes[0] == 5 && bytes[1] == 6);
    CHECK((unsigned char)checkpoint.shards[x->shard].bytes[x->offset] == 4);
    plens__checkpoint_close(&checkpoint);
}

/* Guards the Hub's cache, whose files are links to blobs; and Transformers' choice of the single
 * file where an index lies beside it. */
static void links_are_followed_and_the_single_file_comes_first(void) {
    char blob[2048], link[2048];
    write_shards();
    snprintf(blob, sizeof blob, "%s/B.safetensors", folder);
    snprintf(link, sizeof link, "%s/model.safetensors", folder);
    CHECK_INT(symlink(blob, link), 0);
    CHECK_OK(open_folder(), failure);
    CHECK_INT(checkpoint.n_tensors, 1);
    CHECK_STRING(checkpoint.tensors[0].name, "b.y");
    plens__checkpoint_close(&checkpoint);
    folder_remove_file(folder, "B.safetensors");
    CHECK_INT(open_folder(), PLENS_ERROR_IO); /* a link to nothing is not "no such checkpoint" */
    CHECK_CONTAINS(failure.message, "model.safetensors: cannot open: no such file");
    folder_remove_file(folder, "model.safetensors");
}

/* Guards the messages for a folder that is none, or has nothing in it. */
static void a_wrong_folder_is_named(void) {
    char path[2048];
    plens_error error;
    snprintf(path, sizeof path, "%s/none", folder);
    CHECK_INT(plens__checkpoint_open(&heap, path, &checkpoint, &error), PLENS_ERROR_IO);
    CHECK_CONTAINS(error.message, "/none: cannot open: no such file or folder");
    write_shards();
    snprintf(path, sizeof path, "%s/A.safetensors", folder);
    CHECK_INT(plens__checkpoint_open(&heap, path, &checkpoint, &error), PLENS_ERROR_IO);
    CHECK_CONTAINS(error.message, "/A.safetensors: expected a folder, found a file");
    folder_remove_file(folder, INDEX);
    CHECK_INT(open_folder(), PLENS_ERROR_IO);
    CHECK_CONTAINS(failure.message,
                   "expected model.safetensors or model.safetensors.index.json, found neither");
}

/* Guards against running a model without the adapter that Transformers would put into it. */
static void an_adapter_is_refused(void) {
    write_shards();
    folder_write_text(folder, "adapter_config.json", "{}");
    CHECK_INT(open_folder(), PLENS_ERROR_UNSUPPORTED);
    CHECK_CONTAINS(failure.message, "/adapter_config.json: expected a model without adapters");
    folder_remove_file(folder, "adapter_config.json");
    CHECK_OK(open_folder(), failure);
    plens__checkpoint_close(&checkpoint);
}

/* Guards every way in which an index can disagree with its format or with the shards. */
static void a_wrong_index_is_refused(void) {
#define A "\"A.safetensors\""
#define B "\"B.safetensors\""
    static const struct {
        const char *index;
        int status;
        const char *message;
    } cases[] = {
        {"[]", PLENS_ERROR_FORMAT,
         INDEX ": weight_map: expected an object with tensors, found nothing"},
        {"{\"weight_map\":[]}", PLENS_ERROR_FORMAT,
         "weight_map: expected an object with tensors, found an array"},
        {"{\"weight_map\":{}}", PLENS_ERROR_FORMAT,
         "weight_map: expected an object with tensors, found an object"},
        {"{\"metadata\":1,\"weight_map\":{\"a.x\":" A "}}", PLENS_ERROR_FORMAT,
         "metadata: expected an object, found 1"},
        {"{\"metadata\":{\"total_size\":\"12\"},\"weight_map\":{\"a.x\":" A "}}",
         PLENS_ERROR_FORMAT, "metadata.total_size: expected a number, found \"12\""},
        {"{\"weight_map\":{\"a.x\":7}}", PLENS_ERROR_FORMAT,
         "a.x: expected the name of a file in the same folder, without / or \\, found 7"},
        {"{\"weight_map\":{\"a.x\":\"\"}}", PLENS_ERROR_FORMAT, "found \"\""},
        {"{\"weight_map\":{\"a.x\":\".\"}}", PLENS_ERROR_FORMAT, "found \".\""},
        {"{\"weight_map\":{\"a.x\":\"..\"}}", PLENS_ERROR_FORMAT, "found \"..\""},
        {"{\"weight_map\":{\"a.x\":\"../A.safetensors\"}}", PLENS_ERROR_FORMAT,
         "found \"../A.safetensors\""},
        {"{\"weight_map\":{\"a.x\":\"/etc/passwd\"}}", PLENS_ERROR_FORMAT, "found \"/etc/passwd\""},
        {"{\"weight_map\":{\"a.x\":\"..\\\\A\"}}", PLENS_ERROR_FORMAT, "found \"..\\A\""},
        {"{\"weight_map\":{\"a.x\":\"A.safetensors\\u0000\"}}", PLENS_ERROR_FORMAT,
         "found \"A.safetensors\""},
        {"{\"weight_map\":{\"a\\u0000x\":" A "}}", PLENS_ERROR_FORMAT,
         "tensor \"a\": expected no zero byte in its name"},
        {"{\"weight_map\":{\"a.x\":" A ",\"a.x\":" A "}}", PLENS_ERROR_FORMAT,
         "found \"a.x\" again"},
        {"{\"weight_map\":{\"a.x\":" A ",\"c.z\":" A ",\"b.y\":\"C.safetensors\"}}", PLENS_ERROR_IO,
         "/C.safetensors: cannot open: no such file or folder"},
        {"{\"weight_map\":{\"a.x\":" A ",\"c.z\":" A ",\"b.y\":" A "}}", PLENS_ERROR_FORMAT,
         "tensor \"b.y\": expected it in A.safetensors, found no such tensor there"},
        {"{\"weight_map\":{\"a.x\":" A ",\"c.z\":" A ",\"b.y\":" B ",\"zz\":" B "}}",
         PLENS_ERROR_FORMAT,
         "tensor \"zz\": expected it in B.safetensors, found no such tensor there"},
        {"{\"weight_map\":{\"a.x\":" A ",\"b.y\":" B "}}", PLENS_ERROR_FORMAT,
         "/A.safetensors: tensor \"c.z\": expected an entry in " INDEX ", found none"},
        {"{\"weight_map\":{\"a.x\":" B ",\"c.z\":" A ",\"b.y\":" B "}}", PLENS_ERROR_FORMAT,
         "tensor \"a.x\": expected it in B.safetensors, found it in A.safetensors"},
    };
#undef A
#undef B
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_shards();
        folder_write_text(folder, INDEX, cases[i].index);
        memset(&checkpoint, 0x55, sizeof checkpoint);
        CHECK_THAT((int)open_folder() == cases[i].status, "%s: %s", cases[i].index,
                   failure.message);
        CHECK_CONTAINS(failure.message, cases[i].message);
        for (size_t j = 0; j < sizeof checkpoint; j++)
            CHECK(((unsigned char *)&checkpoint)[j] == 0x55);
    }
}

/* Guards against reading one of two tensors of the same name. */
static void a_tensor_in_two_shards_is_refused(void) {
    write_shards();
    folder_write_safetensors(folder, "B.safetensors",
                             "{\"b.y\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
                             "\"a.x\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}",
                             8);
    CHECK_INT(open_folder(), PLENS_ERROR_FORMAT);
    CHECK_CONTAINS(failure.message,
                   "/B.safetensors: tensor \"a.x\": expected it in one shard, found it also in ");
    CHECK_CONTAINS(failure.message, "/A.safetensors");
}

/* Guards against a shard cut short: before opening a FORMAT error, afterwards an IO error that says
 * where, and no signal. */
static void a_shard_cut_short_is_an_error(void) {
    char path[2048];
    unsigned char bytes[4];
    write_shards();
    snprintf(path, sizeof path, "%s/A.safetensors", folder);
    CHECK_OK(open_folder(), failure);
    const plens__tensor *x = plens__checkpoint_find(&checkpoint, "a.x");
    CHECK_INT(truncate(path, (off_t)x->offset + 2), 0);
    CHECK_INT(plens__tensor_read(&checkpoint, x, 0, 4, bytes, &failure), PLENS_ERROR_IO);
    CHECK_CONTAINS(failure.message, "/A.safetensors: expected 4 bytes from byte ");
    CHECK_CONTAINS(failure.message, "found 2");
    CHECK_CONTAINS(failure.message, "(tensor \"a.x\")");
    plens__checkpoint_close(&checkpoint);
    CHECK_INT(open_folder(), PLENS_ERROR_FORMAT);
    CHECK_CONTAINS(failure.message,
                   "/A.safetensors: expected 8 bytes of data after the header, found 6");
}

static plens_status open_and_close(const plens_allocator *allocator, void *data,
                                   plens_error *error) {
    plens__checkpoint opened;
    plens_status status = plens__checkpoint_open(allocator, data, &opened, error);
    if (status == PLENS_OK)
        plens__checkpoint_close(&opened);
    return status;
}

/* Guards against leaks and crashes where memory runs out, with an index and without. */
static void running_out_of_memory_is_an_error(void) {
    write_shards();
    const char *problem = faults_sweep(open_and_close, folder);
    CHECK_THAT(problem == NULL, "%s", problem);
    folder_write_safetensors(folder, "model.safetensors",
                             "{\"b.y\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
                             4);
    problem = faults_sweep(open_and_close, folder);
    CHECK_THAT(problem == NULL, "%s", problem);
}

/* Guards against files of the reference writer that our rules would refuse. */
static void real_checkpoints_open(void) {
    static const struct {
        const char *name;
        size_t n_shards, n_tensors;
    } models[] = {{"llama31-like", 3, 39}, {"llmjp-like", 1, 48}, {"qwen25-like", 2, 75},
                  {"mistral-like", 1, 30}, {"qwen3-like", 1, 46}, {"qwen2-tied", 1, 38},
                  {"stories260k", 1, 47}};
    const char *shared = test_shared();
    if (shared == NULL)
        SKIP("no shared test data");
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/models/%s", shared, models[i].name);
        CHECK_OK(plens__checkpoint_open(&heap, path, &checkpoint, &failure), failure);
        CHECK_INT(checkpoint.n_shards, models[i].n_shards);
        CHECK_INT(checkpoint.n_tensors, models[i].n_tensors);
        plens__checkpoint_close(&checkpoint);
    }
}

int main(void) {
    folder_make(folder);
    RUN(shards_become_one_checkpoint);
    RUN(links_are_followed_and_the_single_file_comes_first);
    RUN(a_wrong_folder_is_named);
    RUN(an_adapter_is_refused);
    RUN(a_wrong_index_is_refused);
    RUN(a_tensor_in_two_shards_is_refused);
    RUN(a_shard_cut_short_is_an_error);
    RUN(running_out_of_memory_is_an_error);
    RUN(real_checkpoints_open);
    folder_remove(folder);
    return test_finish();
}
