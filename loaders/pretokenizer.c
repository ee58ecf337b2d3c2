#include "loaders/pretokenizer.h"

#include <string.h>

#include "loaders/byte_level.h"

/* What becomes of the matches of a split. */
typedef enum behavior {
    REMOVED,
    ISOLATED,
    MERGED_WITH_PREVIOUS,
    MERGED_WITH_NEXT,
    CONTIGUOUS
} behavior;

typedef enum step_kind { SPLIT, ADD_SPACE, TO_BYTES, METASPACE } step_kind;

struct plens__pretokenizer_step {
    step_kind kind;
    plens__regex regex; /* SPLIT */
    behavior behavior;
    int invert; /* what lies between the matches counts as matches */
    plens__metaspace metaspace;
};

/* No component becomes more steps than this (ByteLevel: space, split, bytes). */
#define STEPS_PER_COMPONENT 3

/* ---- Reading ---- */

static plens_status add_split(const plens__part *part, plens__pretokenizer *p, const char *pattern,
                              behavior what, int invert) {
    plens__pretokenizer_step *step = &p->steps[p->n_steps++];
    step->kind = SPLIT;
    step->behavior = what;
    step->invert = invert;
    return plens__regex_compile(part->arena, part->file, pattern, strlen(pattern), &step->regex,
                                part->error);
}

static plens_status read_behavior(const plens__part *part, const plens__json *component,
                                  behavior *what) {
    static const struct {
        const char *name;
        behavior behavior;
    } known[] = {{"Removed", REMOVED},
                 {"Isolated", ISOLATED},
                 {"MergedWithPrevious", MERGED_WITH_PREVIOUS},
                 {"MergedWithNext", MERGED_WITH_NEXT},
                 {"Contiguous", CONTIGUOUS}};
    const plens__json *name;
    plens_status status = plens__part_string(part, component, "behavior", &name);
    if (status != PLENS_OK)
        return status;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (plens__json_is_string(name, known[i].name)) {
            *what = known[i].behavior;
            return PLENS_OK;
        }
    }
    return plens__part_unknown(part, "behavior", name);
}

static plens_status read_split(const plens__part *part, const plens__json *component,
                               plens__pretokenizer *p) {
    plens__pretokenizer_step *step = &p->steps[p->n_steps++];
    step->kind = SPLIT;
    plens_status status = plens__part_pattern(part, component, &step->regex);
    if (status == PLENS_OK)
        status = read_behavior(part, component, &step->behavior);
    if (status == PLENS_OK)
        status = plens__part_bool(part, component, "invert", -1, &step->invert);
    return status;
}

static plens_status read_byte_level(const plens__part *part, const plens__json *component,
                                    plens__pretokenizer *p) {
    int add_prefix_space, use_regex;
    plens_status status =
        plens__part_bool(part, component, "add_prefix_space", -1, &add_prefix_space);
    if (status == PLENS_OK)
        status = plens__part_bool(part, component, "use_regex", 1, &use_regex);
    if (status == PLENS_OK && add_prefix_space)
        p->steps[p->n_steps++].kind = ADD_SPACE;
    if (status == PLENS_OK && use_regex)
        status = add_split(part, p, PLENS__GPT2_PATTERN, ISOLATED, 0);
    if (status == PLENS_OK)
        p->steps[p->n_steps++].kind = TO_BYTES;
    return status;
}

static plens_status read_metaspace(const plens__part *part, const plens__json *component,
                                   plens__pretokenizer *p) {
    plens__pretokenizer_step *step = &p->steps[p->n_steps++];
    step->kind = METASPACE;
    plens_status status = plens__part_metaspace(part, component, &step->metaspace);
    if (status != PLENS_OK || !step->metaspace.split)
        return status;
    const plens__metaspace *metaspace = &step->metaspace;
    step = &p->steps[p->n_steps++];
    step->kind = SPLIT;
    step->regex = plens__regex_literal(metaspace->replacement, metaspace->n);
    step->behavior = MERGED_WITH_NEXT;
    return PLENS_OK;
}

static plens_status read_digits(const plens__part *part, const plens__json *component,
                                plens__pretokenizer *p) {
    int individual;
    plens_status status = plens__part_bool(part, component, "individual_digits", -1, &individual);
    return status != PLENS_OK ? status
                              : add_split(part, p, "\\p{N}", individual ? ISOLATED : CONTIGUOUS, 0);
}

static plens_status read_whitespace(const plens__part *part, const plens__json *component,
                                    plens__pretokenizer *p) {
/* \w of Unicode Technical Standard #18: here the reference does not use Oniguruma, whose \w is
 * another. The ranges are the alphabetic symbols (circled and squared letters) and the joiners. */
#define WORD                                                                                       \
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\xE2\x92\xB6-\xE2\x93\xA9\xF0\x9F\x84\xB0-\xF0\x9F\x85\x89"  \
    "\xF0\x9F\x85\x90-\xF0\x9F\x85\xA9\xF0\x9F\x85\xB0-\xF0\x9F\x86\x89\xE2\x80\x8C\xE2\x80\x8D"
    (void)component;
    return add_split(part, p, "[" WORD "]+|[^\\s" WORD "]+", REMOVED, 1);
#undef WORD
}

static plens_status read_whitespace_split(const plens__part *part, const plens__json *component,
                                          plens__pretokenizer *p) {
    (void)component;
    return add_split(part, p, "\\s", REMOVED, 0);
}

static plens_status read_punctuation(const plens__part *part, const plens__json *component,
                                     plens__pretokenizer *p) {
    behavior what = ISOLATED;
    plens_status status = PLENS_OK;
    if (plens__json_get(component, "behavior") != NULL)
        status = read_behavior(part, component, &what);
    return status != PLENS_OK ? status : add_split(part, p, "[\\p{P}$+<=>^`|~]", what, 0);
}

static plens_status read_delimiter(const plens__part *part, const plens__json *component,
                                   plens__pretokenizer *p) {
    const plens__json *delimiter;
    plens_status status = plens__part_character(part, component, "delimiter", &delimiter);
    if (status != PLENS_OK)
        return status;
    plens__pretokenizer_step *step = &p->steps[p->n_steps++];
    step->kind = SPLIT;
    step->behavior = REMOVED;
    return plens__part_literal(part, delimiter, &step->regex);
}

static plens_status read_component(const plens__part *part, const plens__json *component,
                                   const plens__json *type, void *user) {
    static const struct {
        const char *name;
        plens_status (*read)(const plens__part *part, const plens__json *component,
                             plens__pretokenizer *p);
    } known[] = {{"Split", read_split},
                 {"ByteLevel", read_byte_level},
                 {"Metaspace", read_metaspace},
                 {"Digits", read_digits},
                 {"Whitespace", read_whitespace},
                 {"WhitespaceSplit", read_whitespace_split},
                 {"Punctuation", read_punctuation},
                 {"CharDelimiterSplit", read_delimiter}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (plens__json_is_string(type, known[i].name))
            return known[i].read(part, component, user);
    }
    return plens__part_unknown(part, "type", type);
}

plens_status plens__pretokenizer_read(const plens__part *part, const plens__json *json,
                                      plens__pretokenizer *pretokenizer) {
    size_t bytes, count = plens__part_count(json, "pretokenizers");
    pretokenizer->n_steps = 0;
    if (!plens__mul(count, STEPS_PER_COMPONENT * sizeof *pretokenizer->steps, &bytes))
        return plens__part_no_memory(part);
    pretokenizer->steps = plens__arena_alloc(part->arena, bytes);
    if (pretokenizer->steps == NULL)
        return plens__part_no_memory(part);
    memset(pretokenizer->steps, 0, bytes);
    return plens__part_walk(part, json, "pretokenizers", read_component, pretokenizer);
}

/* ---- Applying ---- */

/* The pieces that a split makes of one piece. Spans (matches and what lies between them) come in
 * order; the one that may still grow waits in [start, end). */
typedef struct splitter {
    const char *text;
    int first; /* of the piece that is split */
    behavior behavior;
    size_t start, end;
    int waiting;   /* something waits in [start, end) */
    int was_match; /* the last span was one */
    plens__pieces *out;
} splitter;

static int put(splitter *s, size_t start, size_t end) {
    return start == end ||
           plens__pieces_add(s->out, s->text + start, end - start, s->first && start == 0);
}

/* Puts what waits, and lets [start, end) wait instead. */
static int wait_next(splitter *s, size_t start, size_t end) {
    int ok = !s->waiting || put(s, s->start, s->end);
    s->start = start;
    s->end = end;
    s->waiting = 1;
    return ok;
}

/* One span. Which ones stay together is as in the reference (NormalizedString::split), where
 * MergedWithNext goes through the spans from the back: of a run of adjacent matches the last one
 * joins what follows. */
static int add_span(splitter *s, size_t start, size_t end, int is_match) {
    int joins;
    switch (s->behavior) {
    case REMOVED:
        return is_match || put(s, start, end);
    case CONTIGUOUS: /* runs of one kind stay together */
        joins = is_match == s->was_match;
        break;
    case MERGED_WITH_PREVIOUS:
        joins = is_match && !s->was_match;
        break;
    case MERGED_WITH_NEXT:
        joins = !is_match && s->was_match;
        break;
    default: /* ISOLATED */
        return put(s, start, end);
    }
    s->was_match = is_match;
    if (joins && s->waiting) {
        s->end = end;
        return 1;
    }
    return wait_next(s, start, end);
}

static int split(const plens__pretokenizer_step *step, const char *text, size_t n, int first,
                 plens__pieces *out) {
    splitter s = {text, first, step->behavior, 0, 0, 0, 0, out};
    plens__regex_matches matches = {&step->regex, text, n, 0, 0, 0};
    size_t start, end, done = 0;
    while (plens__regex_next(&matches, &start, &end)) {
        if ((start > done && !add_span(&s, done, start, step->invert)) ||
            !add_span(&s, start, end, !step->invert))
            return 0;
        done = end;
    }
    if (done < n && !add_span(&s, done, n, step->invert))
        return 0;
    return !s.waiting || put(&s, s.start, s.end);
}

static int add_space(const char *text, size_t n, int first, plens__pieces *out) {
    size_t start = out->text.count;
    if (n > 0 && text[0] != ' ' && !plens__buffer_append(&out->text, " ", 1))
        return 0;
    return plens__buffer_append(&out->text, text, n) && plens__pieces_close(out, start, first);
}

static int to_bytes(const char *text, size_t n, int first, plens__pieces *out) {
    size_t start = out->text.count;
    return plens__byte_level_encode(text, n, &out->text) && plens__pieces_close(out, start, first);
}

/* Spaces become the replacement, and one is put in front where the scheme says so. */
static int metaspace(const plens__metaspace *m, const char *text, size_t n, int first,
                     plens__pieces *out) {
    size_t start = out->text.count;
    int begins_with_it =
        n > 0 && (text[0] == ' ' || (n >= m->n && memcmp(text, m->replacement, m->n) == 0));
    int prepend =
        m->prepend == PLENS__PREPEND_ALWAYS || (m->prepend == PLENS__PREPEND_FIRST && first);
    if (prepend && !begins_with_it && !plens__buffer_append(&out->text, m->replacement, m->n))
        return 0;
    for (size_t i = 0; i < n;) {
        const char *space = memchr(text + i, ' ', n - i);
        size_t stop = space == NULL ? n : (size_t)(space - text);
        if (!plens__buffer_append(&out->text, text + i, stop - i) ||
            (space != NULL && !plens__buffer_append(&out->text, m->replacement, m->n)))
            return 0;
        i = stop + 1;
    }
    return plens__pieces_close(out, start, first);
}

static int apply_step(const plens__pretokenizer_step *step, const char *text, size_t n, int first,
                      plens__pieces *out) {
    switch (step->kind) {
    case SPLIT:
        return split(step, text, n, first, out);
    case ADD_SPACE:
        return add_space(text, n, first, out);
    case TO_BYTES:
        return to_bytes(text, n, first, out);
    case METASPACE:
        return metaspace(&step->metaspace, text, n, first, out);
    }
    return 0;
}

int plens__pretokenizer_apply(const plens__pretokenizer *pretokenizer, plens__pieces *pieces,
                              plens__pieces *scratch) {
    for (size_t i = 0; i < pretokenizer->n_steps; i++) {
        plens__pieces input = *pieces;
        *pieces = *scratch;
        *scratch = input;
        plens__pieces_clear(pieces);
        for (size_t j = 0; j < plens__pieces_count(&input); j++) {
            const plens__piece *piece = plens__pieces_get(&input, j);
            if (!apply_step(&pretokenizer->steps[i], plens__pieces_text(&input, piece), piece->n,
                            piece->first, pieces))
                return 0;
        }
    }
    return 1;
}
