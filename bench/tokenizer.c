/* How fast a tokenizer opens, encodes and decodes.
 *
 * usage: tokenizer DIR [FILE]     FILE: the text; without it, 100,000 x "a" and some mixed text */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "plens.h"

#define MIXED 1000000

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void stop(const plens_error *error) {
    fprintf(stderr, "%s\n", error->message);
    exit(3);
}

/* Encodes and decodes text [n], prints the best of five runs. */
static void measure(plens_context *context, const plens_tokenizer *tokenizer, const char *name,
                    const char *text, size_t n) {
    double best_encode = 1e9, best_decode = 1e9;
    size_t n_ids = 0;
    for (int run = 0; run < 5; run++) {
        plens_ids ids;
        plens_text back;
        plens_error error;
        double start = seconds();
        if (plens_tokenizer_encode(context, tokenizer, text, n, 0, &ids, &error) != PLENS_OK)
            stop(&error);
        double middle = seconds();
        if (plens_tokenizer_decode(context, tokenizer, ids.data, ids.count, &back, &error) !=
            PLENS_OK)
            stop(&error);
        double end = seconds();
        best_encode = middle - start < best_encode ? middle - start : best_encode;
        best_decode = end - middle < best_decode ? end - middle : best_decode;
        n_ids = ids.count;
        plens_ids_free(context, &ids);
        plens_text_free(context, &back);
    }
    printf("%-12s %9zu bytes %8zu ids   encode %8.2f ms %7.1f MB/s   decode %8.2f ms\n", name, n,
           n_ids, 1e3 * best_encode, 1e-6 * (double)n / best_encode, 1e3 * best_decode);
}

static char *read_file(const char *path, size_t *n) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(3);
    }
    size_t capacity = 1 << 16;
    char *text = malloc(capacity);
    *n = 0;
    for (size_t got; text != NULL && (got = fread(text + *n, 1, capacity - *n, file)) > 0;) {
        *n += got;
        if (*n == capacity)
            text = realloc(text, capacity *= 2);
    }
    fclose(file);
    return text;
}

/* Lines in several scripts, with numbers that differ, so that few words repeat exactly. */
static char *mixed_text(size_t *n) {
    static const char *const lines[] = {
        "The most important holiday of the year is number %zu, isn't it? ",
        "\xE6\x97\xA5\xE6\x9C\xAC\xE3\x81\xAE\xE9\xA6\x96\xE9\x83\xBD\xE3\x81\xAF\xE6\x9D\xB1\xE4"
        "\xBA\xAC\xE3\x81\xA7\xE3\x81\x99\xE3\x80\x82%zu\n",
        "for (int i = 0; i < %zu; i++) {\n\t\tsum += values[i];\n}\n\n",
        "\xD0\x9C\xD0\xBE\xD1\x81\xD0\xBA\xD0\xB2\xD0\xB0 \xE2\x80\x94 %zu, caf\xC3\xA9 "
        "na\xC3\xAFve   \xF0\x9F\x98\x80!\r\n"};
    char *text = malloc(MIXED + 256);
    *n = 0;
    for (size_t i = 0; text != NULL && *n < MIXED; i++)
        *n += (size_t)snprintf(text + *n, 256, lines[i % 4], i * 2654435761u % 1000003);
    return text;
}

int main(int argc, char **argv) {
    plens_context *context;
    plens_tokenizer *tokenizer;
    plens_error error;
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: tokenizer DIR [FILE]\n");
        return 2;
    }
    if (plens_context_create(NULL, &context, &error) != PLENS_OK)
        stop(&error);
    double start = seconds();
    if (plens_tokenizer_open(context, argv[1], &tokenizer, &error) != PLENS_OK)
        stop(&error);
    printf("opened in %.1f ms, %zu ids\n", 1e3 * (seconds() - start),
           plens_tokenizer_size(tokenizer));
    size_t n;
    if (argc == 3) {
        char *text = read_file(argv[2], &n);
        measure(context, tokenizer, "file", text, n);
        free(text);
    } else {
        char *text = mixed_text(&n);
        measure(context, tokenizer, "mixed", text, n);
        memset(text, 'a', 100000);
        measure(context, tokenizer, "a...a", text, 100000);
        free(text);
    }
    plens_tokenizer_close(tokenizer);
    plens_context_destroy(context);
    return 0;
}
