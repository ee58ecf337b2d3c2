#include "loaders/decoder.h"

#include <string.h>

#include "loaders/byte_level.h"
#include "loaders/utf8.h"

static const char replacement_character[] = "\xEF\xBF\xBD"; /* U+FFFD */

typedef enum step_kind {
    BYTE_LEVEL,
    BYTE_FALLBACK,
    REPLACE,
    FUSE,
    STRIP,
    METASPACE,
    SUFFIX
} step_kind;

struct plens__decoder_step {
    step_kind kind;
    plens__regex regex;  /* REPLACE, SUFFIX */
    const char *content; /* REPLACE: by what; STRIP: the character: [n_content] */
    size_t n_content;
    size_t start, stop; /* STRIP: how many at most at either end */
    plens__metaspace metaspace;
};

/* ---- Reading ---- */

static plens_status read_replace(const plens__part *part, const plens__json *component,
                                 plens__decoder_step *step) {
    const plens__json *content;
    plens_status status = plens__part_pattern(part, component, &step->regex);
    if (status == PLENS_OK)
        status = plens__part_string(part, component, "content", &content);
    return status != PLENS_OK ? status
                              : plens__part_copy(part, content, &step->content, &step->n_content);
}

static plens_status read_strip(const plens__part *part, const plens__json *component,
                               plens__decoder_step *step) {
    const plens__json *content;
    plens_status status = plens__part_character(part, component, "content", &content);
    if (status == PLENS_OK)
        status = plens__part_size(part, component, "start", &step->start);
    if (status == PLENS_OK)
        status = plens__part_size(part, component, "stop", &step->stop);
    return status != PLENS_OK ? status
                              : plens__part_copy(part, content, &step->content, &step->n_content);
}

static plens_status read_suffix(const plens__part *part, const plens__json *component,
                                plens__decoder_step *step) {
    const plens__json *suffix;
    plens_status status = plens__part_string(part, component, "suffix", &suffix);
    if (status != PLENS_OK)
        return status;
    if (suffix->length == 0)
        return plens__part_unknown(part, "suffix", suffix);
    return plens__part_literal(part, suffix, &step->regex);
}

static plens_status read_metaspace(const plens__part *part, const plens__json *component,
                                   plens__decoder_step *step) {
    return plens__part_metaspace(part, component, &step->metaspace);
}

static plens_status read_step(const plens__part *part, const plens__json *component,
                              const plens__json *type, void *user) {
    static const struct {
        const char *name;
        step_kind kind;
        plens_status (*read)(const plens__part *part, const plens__json *component,
                             plens__decoder_step *step);
    } known[] = {{"ByteLevel", BYTE_LEVEL, NULL},    {"ByteFallback", BYTE_FALLBACK, NULL},
                 {"Replace", REPLACE, read_replace}, {"Fuse", FUSE, NULL},
                 {"Strip", STRIP, read_strip},       {"Metaspace", METASPACE, read_metaspace},
                 {"BPEDecoder", SUFFIX, read_suffix}};
    plens__decoder *decoder = user;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!plens__json_is_string(type, known[i].name))
            continue;
        plens__decoder_step *step = &decoder->steps[decoder->n_steps++];
        step->kind = known[i].kind;
        return known[i].read == NULL ? PLENS_OK : known[i].read(part, component, step);
    }
    return plens__part_unknown(part, "type", type);
}

plens_status plens__decoder_read(const plens__part *part, const plens__json *json,
                                 plens__decoder *decoder) {
    size_t bytes, count = plens__part_count(json, "decoders");
    decoder->n_steps = 0;
    decoder->absent = json == NULL || json->type == PLENS__JSON_NULL;
    if (!plens__mul(count, sizeof *decoder->steps, &bytes))
        return plens__part_no_memory(part);
    decoder->steps = plens__arena_alloc(part->arena, bytes);
    if (decoder->steps == NULL)
        return plens__part_no_memory(part);
    memset(decoder->steps, 0, bytes);
    return plens__part_walk(part, json, "decoders", read_step, decoder);
}

/* ---- One token ---- */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    char letter = (char)(c | 0x20);
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* The byte that "<0xNN>" stands for, or -1. */
static int byte_of(const char *text, size_t n) {
    if (n != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>')
        return -1;
    int high = hex_digit(text[3]), low = hex_digit(text[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static int replace(const plens__regex *regex, const char *content, size_t n_content,
                   const char *text, size_t n, plens__buffer *out) {
    plens__regex_matches matches = {regex, text, n, 0, 0, 0};
    size_t start, end, done = 0;
    while (n > 0 && plens__regex_next(&matches, &start, &end)) {
        if (!plens__buffer_append(out, text + done, start - done) ||
            !plens__buffer_append(out, content, n_content))
            return 0;
        done = end;
    }
    return plens__buffer_append(out, text + done, n - done);
}

static int strip(const plens__decoder_step *step, const char *text, size_t n, plens__buffer *out) {
    size_t length = step->n_content, from = 0, to = n;
    for (size_t i = 0; i < step->start && to - from >= length; i++) {
        if (memcmp(text + from, step->content, length) != 0)
            break;
        from += length;
    }
    for (size_t i = 0; i < step->stop && to - from >= length; i++) {
        if (memcmp(text + to - length, step->content, length) != 0)
            break;
        to -= length;
    }
    return plens__buffer_append(out, text + from, to - from);
}

/* ---- All tokens ---- */

/* Bytes with every ill-formed sequence as U+FFFD (Rust's from_utf8_lossy). */
static int append_lossy(const char *bytes, size_t n, plens__buffer *out) {
    for (size_t i = 0; i < n;) {
        size_t good = plens__utf8_check(bytes + i, n - i);
        if (!plens__buffer_append(out, bytes + i, good))
            return 0;
        i += good;
        if (i == n)
            break;
        if (!plens__buffer_append(out, replacement_character, 3))
            return 0;
        i += plens__utf8_bad_length(bytes + i, n - i);
    }
    return 1;
}

static int byte_level(const plens__pieces *in, plens__pieces *out) {
    plens__buffer bytes = {in->text.allocator, NULL, 0, 0};
    int ok = 1;
    for (size_t i = 0; i < plens__pieces_count(in) && ok; i++) {
        const plens__piece *piece = plens__pieces_get(in, i);
        ok = plens__byte_level_decode(plens__pieces_text(in, piece), piece->n, &bytes);
    }
    ok = ok && append_lossy(bytes.data, bytes.count, &out->text) && plens__pieces_close(out, 0, 0);
    plens__buffer_free(&bytes);
    return ok;
}

/* A run of byte tokens: one piece if it is UTF-8, else one U+FFFD for each byte. */
static int close_bytes(plens__buffer *bytes, plens__pieces *out) {
    if (plens__utf8_check(bytes->data, bytes->count) == bytes->count) {
        int ok = bytes->count == 0 || plens__pieces_add(out, bytes->data, bytes->count, 0);
        bytes->count = 0;
        return ok;
    }
    for (; bytes->count > 0; bytes->count--) {
        if (!plens__pieces_add(out, replacement_character, 3, 0))
            return 0;
    }
    return 1;
}

static int byte_fallback(const plens__pieces *in, plens__pieces *out) {
    plens__buffer bytes = {in->text.allocator, NULL, 0, 0};
    int ok = 1;
    for (size_t i = 0; i < plens__pieces_count(in) && ok; i++) {
        const plens__piece *piece = plens__pieces_get(in, i);
        const char *text = plens__pieces_text(in, piece);
        int byte = byte_of(text, piece->n);
        char one = (char)(unsigned char)byte;
        ok = byte >= 0 ? plens__buffer_append(&bytes, &one, 1)
                       : close_bytes(&bytes, out) && plens__pieces_add(out, text, piece->n, 0);
    }
    ok = ok && close_bytes(&bytes, out);
    plens__buffer_free(&bytes);
    return ok;
}

/* The replacement becomes a space; in the first token it vanishes if the encoder put it there. */
static int metaspace(const plens__metaspace *m, const char *text, size_t n, int at_front,
                     plens__buffer *out) {
    plens__regex regex = plens__regex_literal(m->replacement, m->n);
    int vanishes = at_front && m->prepend != PLENS__PREPEND_NEVER;
    return replace(&regex, " ", vanishes ? 0 : 1, text, n, out);
}

/* Token i of n_tokens, by the steps that treat tokens one by one. */
static int decode_one(const plens__decoder_step *step, const char *text, size_t n, size_t i,
                      size_t n_tokens, plens__buffer *out) {
    switch (step->kind) {
    case REPLACE:
        return replace(&step->regex, step->content, step->n_content, text, n, out);
    case STRIP:
        return strip(step, text, n, out);
    case METASPACE:
        return metaspace(&step->metaspace, text, n, i == 0, out);
    case SUFFIX: /* of words, so a space; nothing after the last one */
        return replace(&step->regex, " ", i + 1 == n_tokens ? 0 : 1, text, n, out);
    default:
        return plens__buffer_append(out, text, n);
    }
}

static int apply_step(const plens__decoder_step *step, const plens__pieces *in,
                      plens__pieces *out) {
    size_t count = plens__pieces_count(in);
    if (step->kind == BYTE_LEVEL)
        return byte_level(in, out);
    if (step->kind == BYTE_FALLBACK)
        return byte_fallback(in, out);
    if (step->kind == FUSE)
        return plens__pieces_add(out, in->text.data, in->text.count, 0);
    for (size_t i = 0; i < count; i++) {
        const plens__piece *piece = plens__pieces_get(in, i);
        size_t start = out->text.count;
        if (!decode_one(step, plens__pieces_text(in, piece), piece->n, i, count, &out->text) ||
            !plens__pieces_close(out, start, 0))
            return 0;
    }
    return 1;
}

static int join_by_spaces(const plens__pieces *in, plens__pieces *out) {
    for (size_t i = 0; i < plens__pieces_count(in); i++) {
        const plens__piece *piece = plens__pieces_get(in, i);
        if ((i > 0 && !plens__buffer_append(&out->text, " ", 1)) ||
            !plens__buffer_append(&out->text, plens__pieces_text(in, piece), piece->n))
            return 0;
    }
    return 1;
}

int plens__decoder_apply(const plens__decoder *decoder, plens__pieces *pieces,
                         plens__pieces *scratch) {
    size_t rounds = decoder->absent ? 1 : decoder->n_steps;
    for (size_t i = 0; i < rounds; i++) {
        plens__pieces input = *pieces;
        *pieces = *scratch;
        *scratch = input;
        plens__pieces_clear(pieces);
        if (decoder->absent ? !join_by_spaces(&input, pieces)
                            : !apply_step(&decoder->steps[i], &input, pieces))
            return 0;
    }
    return 1;
}

/* ---- A token by itself ---- */

int plens__decoder_token(const plens__decoder *decoder, const char *text, size_t n,
                         plens__buffer *out, plens__buffer *scratch) {
    size_t kept = out->count;
    if (!plens__buffer_append(out, text, n))
        return 0;
    for (size_t i = 0; i < decoder->n_steps; i++) {
        const plens__decoder_step *step = &decoder->steps[i];
        int byte = step->kind == BYTE_FALLBACK ? byte_of(out->data + kept, out->count - kept) : -1;
        char one = (char)(unsigned char)byte;
        if (byte >= 0) { /* nothing after it may read a fragment as text */
            out->count = kept;
            return plens__buffer_append(out, &one, 1);
        }
        if (step->kind == STRIP || step->kind == FUSE || step->kind == BYTE_FALLBACK)
            continue;
        if (step->kind == REPLACE && step->n_content == 0 && step->regex.literal == NULL)
            continue; /* "(?<!\n)^ " and the like: what the encoder put in front of the text */
        scratch->count = 0;
        if (!plens__buffer_append(scratch, out->data + kept, out->count - kept))
            return 0;
        out->count = kept;
        if (step->kind == BYTE_LEVEL)
            return plens__byte_level_decode(scratch->data, scratch->count, out);
        if (!decode_one(step, scratch->data, scratch->count, 1, 3, out))
            return 0;
    }
    return 1;
}
