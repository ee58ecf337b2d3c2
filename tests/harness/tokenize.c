/* plens tokenize: one JSON string a line to one JSON array of ids a line, or the other way. */
#include "tests/harness/commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/harness/lines.h"
#include "tests/harness/output.h"
#include "tests/harness/session.h"

static const char usage[] =
    "usage: plens tokenize --model DIR [--special] [--decode] < LINES\n"
    "\n"
    "Reads one JSON string a line and prints its token ids as one JSON array a line.\n"
    "Needs no more of the folder than its tokenizer.json.\n"
    "\n"
    "  --special  with the tokens that the tokenizer's post-processor adds\n"
    "  --decode   the other way: arrays of ids to strings, special tokens included\n"
    "\n" COMMON_USAGE;

static plens_status encode_line(session *s, const line_reader *line, int special, output *out,
                                plens_error *error) {
    plens_text text = {NULL, 0};
    plens_ids ids = {NULL, 0};
    plens_status status = plens_json_to_text(s->context, line->bytes, line->count, &text, error);
    if (status == PLENS_OK)
        status = plens_tokenizer_encode(s->context, s->tokenizer, text.data, text.count, special,
                                        &ids, error);
    if (status == PLENS_OK) {
        output_format(out, "[");
        for (size_t i = 0; i < ids.count; i++)
            output_format(out, i == 0 ? "%ld" : ",%ld", (long)ids.data[i]);
        output_format(out, "]\n");
    }
    plens_ids_free(s->context, &ids);
    plens_text_free(s->context, &text);
    return status;
}

static plens_status decode_line(session *s, const line_reader *line, output *out,
                                plens_error *error) {
    plens_ids ids = {NULL, 0};
    plens_text text = {NULL, 0};
    plens_status status = plens_json_to_ids(s->context, line->bytes, line->count, &ids, error);
    if (status == PLENS_OK)
        status =
            plens_tokenizer_decode(s->context, s->tokenizer, ids.data, ids.count, &text, error);
    if (status == PLENS_OK) {
        output_json(out, text.data, text.count);
        output_format(out, "\n");
    }
    plens_text_free(s->context, &text);
    plens_ids_free(s->context, &ids);
    return status;
}

static int convert_lines(session *s, int special, int decode) {
    line_reader line = {NULL, 0, 0};
    output out;
    plens_error error;
    int code = EXIT_DONE;
    output_standard(&out);
    for (size_t number = 1; code == EXIT_DONE && line_next(&line, stdin); number++) {
        plens_status status = decode ? decode_line(s, &line, &out, &error)
                                     : encode_line(s, &line, special, &out, &error);
        if (status != PLENS_OK)
            code = fail_input("standard input:%zu: %s", number, error.message);
        else if (out.reason != 0)
            break;
    }
    if (code == EXIT_DONE && ferror(stdin))
        code = fail_input("standard input: cannot be read: %s", strerror(errno));
    int written = output_finish(&out);
    output_discard(&out);
    line_free(&line);
    return code == EXIT_DONE ? written : code;
}

int command_tokenize(int argc, char **argv) {
    common_options common = {0};
    int special = 0, decode = 0;
    const option options[] = {
        {"--special", OPTION_FLAG, &special, NULL},
        {"--decode", OPTION_FLAG, &decode, NULL},
        COMMON_OPTIONS(common),
    };
    int code =
        options_read("tokenize", usage, options, sizeof options / sizeof options[0], argc, argv);
    if (code != OPTIONS_READ)
        return code;
    session s;
    code = session_open(&s, "tokenize", &common, SESSION_TOKENIZER);
    if (code == EXIT_DONE)
        code = convert_lines(&s, special, decode);
    session_close(&s);
    return code;
}
