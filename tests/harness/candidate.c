#include "tests/harness/candidate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/form.h"
#include "tests/harness/message.h"

enum { GOLD_WORDS = 3 }; /* the most that counts as short */

static int refuse(char *reason, const char *why, const char *text, size_t n) {
    snprintf(reason, REASON_BYTES, "%s%s%.*s%s", why, n > 0 ? " '" : "", (int)(n < 120 ? n : 120),
             text, n > 0 ? "'" : "");
    return 0;
}

static int is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Takes off white space, then one pair of the given brackets or quotes around the rest. */
static span strip(span text, char open, char close) {
    while (text.n_bytes > 0 && is_blank(text.bytes[text.n_bytes - 1]))
        text.n_bytes--;
    while (text.n_bytes > 0 && is_blank(text.bytes[0]))
        text = (span){text.bytes + 1, text.n_bytes - 1};
    if (text.n_bytes >= 2 && text.bytes[0] == open && text.bytes[text.n_bytes - 1] == close)
        text = (span){text.bytes + 1, text.n_bytes - 2};
    return text;
}

static char *copy_span(span text) {
    char *copy = allocate(text.n_bytes + 1, 1);
    memcpy(copy, text.bytes, text.n_bytes);
    return copy;
}

/* The words of a text in lower case (of ASCII), a space before and after each: so that one list
 * stands in another if it is a part of it. */
static char *spaced_words(span text) {
    char *words = allocate(2 * text.n_bytes + 2, 1);
    size_t n = 0;
    words[n++] = ' ';
    for (span word; word_next(&text, &word);) {
        for (size_t i = 0; i < word.n_bytes; i++) {
            char c = word.bytes[i];
            words[n++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        }
        words[n++] = ' ';
    }
    return words;
}

static int has_words(span text, span words) {
    char *all = spaced_words(text), *part = spaced_words(words);
    int found = strstr(all, part) != NULL;
    free(all);
    free(part);
    return found;
}

/* "A: B - C:", each of them something. */
static int is_analogy(span question) {
    char *text = copy_span(question);
    const char *colon = strstr(text, ": "), *dash = strstr(text, " - ");
    int found = colon != NULL && colon != text && dash != NULL && dash > colon + 2 &&
                dash[3] != '\0' && dash[3] != ':' && text[question.n_bytes - 1] == ':';
    free(text);
    return found;
}

char *candidate_question(const batch_answer *answer, char *reason) {
    span line = strip((span){answer->content, strlen(answer->content)}, '"', '"');
    char *question = copy_span(line);
    int has_tail;
    span asked = form_question(question, &has_tail);
    if (strpbrk(question, "\r\n\t") != NULL)
        refuse(reason, "more than one line", "", 0);
    else if (!has_tail)
        refuse(reason, "no blank: expected '" FORM_TAIL "' at the end, found", line.bytes,
               line.n_bytes);
    else if (asked.n_bytes == 0)
        refuse(reason, "nothing before the blank", "", 0);
    else if (answer->n_task == strlen("comparison") &&
             strncmp(answer->key, "comparison", answer->n_task) == 0 && !is_analogy(asked))
        refuse(reason, "expected A: B - C: " FORM_TAIL ", found", line.bytes, line.n_bytes);
    else
        return question;
    free(question);
    return NULL;
}

/* If a line begins with the label (whatever its case), what follows it. */
static int after_label(span line, const char *label, span *rest) {
    size_t n = strlen(label);
    if (line.n_bytes < n)
        return 0;
    for (size_t i = 0; i < n; i++) {
        char c = line.bytes[i];
        if ((c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c) != label[i])
            return 0;
    }
    *rest = (span){line.bytes + n, line.n_bytes - n};
    return 1;
}

static span without_full_stop(span text) {
    text = strip(text, '\0', '\0');
    if (text.n_bytes > 0 && text.bytes[text.n_bytes - 1] == '.')
        text.n_bytes--;
    return text;
}

/* Reads the lines "Persona: …" and "Answer: …"; no others may hold text. */
static int read_lines(candidate *c, const char *content, char *reason) {
    for (const char *at = content; *at != '\0';) {
        size_t n = strcspn(at, "\n");
        span line = strip((span){at, n}, '\0', '\0'), rest;
        at += n + (at[n] == '\n');
        char **field = after_label(line, "persona:", &rest)  ? &c->persona
                       : after_label(line, "answer:", &rest) ? &c->gold
                                                             : NULL;
        if (line.n_bytes == 0)
            continue;
        if (field == NULL)
            return refuse(reason, "expected the lines Persona: and Answer:, found", line.bytes,
                          line.n_bytes);
        if (*field != NULL)
            return refuse(reason, "two lines of one kind:", line.bytes, line.n_bytes);
        if (field == &c->gold)
            rest = without_full_stop(rest);
        rest = strip(strip(rest, '"', '"'), '(', ')');
        *field = copy_span(rest);
    }
    return 1;
}

static int check_alternative(span gold, const char *question, const char *persona, char *reason) {
    size_t n_words = 0;
    span rest = gold;
    for (span word; word_next(&rest, &word);)
        n_words++;
    if (n_words == 0)
        return refuse(reason, "the answer is empty", "", 0);
    if (n_words > GOLD_WORDS)
        return refuse(reason, "the answer is not short:", gold.bytes, gold.n_bytes);
    if (has_words(form_question(question, NULL), gold))
        return refuse(reason, "the question holds the answer", gold.bytes, gold.n_bytes);
    if (has_words((span){persona, strlen(persona)}, gold))
        return refuse(reason, "the persona holds the answer", gold.bytes, gold.n_bytes);
    return 1;
}

int candidate_read(candidate *c, const batch_answer *answer, const char *question, char *reason) {
    *c = (candidate){NULL, NULL};
    if (!read_lines(c, answer->content, reason))
        return 0;
    if (c->persona == NULL || c->persona[0] == '\0')
        return refuse(reason, "no persona", "", 0);
    if (c->gold == NULL)
        return refuse(reason, "no answer", "", 0);
    for (const char *at = c->gold;; at++) {
        span gold = {at, strcspn(at, "|")};
        if (!check_alternative(gold, question, c->persona, reason))
            return 0;
        at += gold.n_bytes;
        if (*at == '\0')
            return 1;
    }
}

void candidate_free(candidate *c) {
    free(c->persona);
    free(c->gold);
}
