/* tests/data: the shipped questions hold to the rules that tests/data/README.md states. */
#include "plens.h"

#include <ctype.h>

#include "tests/test.h"

enum { N_QUESTIONS = 600, MOST_WORDS = 64 };

static const char *const tasks[] = {"cloze", "comparison", "commonsense"};
static const char tail[] = "-, answer:";

/* Words of a cell, in lower case (of ASCII), without anything but letters and digits. */
typedef struct word_list {
    char bytes[1024];
    const char *words[MOST_WORDS];
    size_t count;
} word_list;

typedef struct row {
    const char *id, *task, *persona, *prompt, *gold, *category, *subcategory;
    size_t line;
} row;

static plens_context *context;
static plens_table *questions, *categories, *japanese, *spelling;
static row rows[N_QUESTIONS];

static int is_word_byte(char c) {
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

static void cut_words(const char *text, size_t n, word_list *list) {
    size_t used = 0;
    list->count = 0;
    for (size_t i = 0; i < n && used + 2 < sizeof list->bytes && list->count < MOST_WORDS;) {
        if (!is_word_byte(text[i])) {
            i++;
            continue;
        }
        list->words[list->count++] = list->bytes + used;
        for (; i < n && is_word_byte(text[i]) && used + 2 < sizeof list->bytes; i++)
            list->bytes[used++] = (char)tolower((unsigned char)text[i]);
        list->bytes[used++] = 0;
    }
}

static size_t question_length(const row *q) {
    return strlen(q->prompt) - strlen(tail);
}

static const char *cell(const plens_table *table, size_t i, const char *name) {
    size_t column;
    if (plens_table_column(table, name, &column, NULL) != PLENS_OK)
        return "";
    return plens_table_cell(table, i, column, NULL);
}

static plens_status open_data(plens_error *error) {
    if (plens_context_create(NULL, &context, error) != PLENS_OK ||
        plens_table_open(context, "tests/data/personas.tsv", &questions, error) != PLENS_OK ||
        plens_table_open(context, "tests/data/categories.tsv", &categories, error) != PLENS_OK ||
        plens_table_open(context, "tests/data/personas.ja.tsv", &japanese, error) != PLENS_OK ||
        plens_table_open(context, "tests/fixtures/spelling.tsv", &spelling, error) != PLENS_OK)
        return error->status;
    if (plens_table_rows(questions) != N_QUESTIONS) {
        snprintf(error->message, sizeof error->message, "personas.tsv: %zu questions, expected %d",
                 plens_table_rows(questions), N_QUESTIONS);
        return PLENS_ERROR_FORMAT;
    }
    for (size_t i = 0; i < N_QUESTIONS; i++) {
        rows[i] = (row){cell(questions, i, "id"),          cell(questions, i, "task"),
                        cell(questions, i, "persona"),     cell(questions, i, "prompt"),
                        cell(questions, i, "gold"),        cell(questions, i, "category"),
                        cell(questions, i, "subcategory"), plens_table_line(questions, i)};
    }
    return PLENS_OK;
}

/* Guards the counts, the ids, and the form that the scores are read at. */
static void rows_have_their_form(void) {
    size_t counts[3] = {0, 0, 0};
    for (size_t i = 0; i < N_QUESTIONS; i++) {
        const row *q = &rows[i];
        size_t task = 0, n = strlen(q->prompt);
        while (task < 3 && strcmp(tasks[task], q->task) != 0)
            task++;
        CHECK_THAT(task < 3, "line %zu: task %s", q->line, q->task);
        counts[task]++;
        CHECK_THAT(strncmp(q->persona, "You are ", 8) == 0, "line %zu: %s", q->line, q->persona);
        CHECK_THAT(q->persona[strlen(q->persona) - 1] == '.', "line %zu: no full stop", q->line);
        CHECK_THAT(n > 15 && strcmp(q->prompt + n - strlen(tail), tail) == 0, "line %zu: %s",
                   q->line, q->prompt);
        char before = q->prompt[n - strlen(tail) - 1];
        CHECK_THAT(before == (task == 2 ? '?' : ' '), "line %zu: %s", q->line, q->prompt);
        CHECK_THAT(task != 1 ||
                       (strstr(q->prompt, ": ") < strstr(q->prompt, " - ") &&
                        strcmp(q->prompt + n - strlen(": -, answer:"), ": -, answer:") == 0),
                   "line %zu: no A: B - C: _: %s", q->line, q->prompt);
        for (size_t j = 0; j < i; j++)
            CHECK_THAT(strcmp(rows[j].id, q->id) != 0, "line %zu: id %s twice", q->line, q->id);
    }
    for (size_t task = 0; task < 3; task++)
        CHECK_INT(counts[task], N_QUESTIONS / 3);
}

/* Guards against stray bytes: controls, doubled or outer spaces, characters beyond Latin letters.
 */
static void text_is_clean(void) {
    for (size_t i = 0; i < N_QUESTIONS; i++) {
        const char *cells[] = {rows[i].persona, rows[i].prompt, rows[i].gold};
        for (size_t c = 0; c < 3; c++) {
            const char *text = cells[c];
            size_t n = strlen(text);
            CHECK_THAT(n > 0 && text[0] != ' ' && text[n - 1] != ' ' &&
                           strstr(text, "  ") == NULL && strstr(text, " .") == NULL,
                       "line %zu: spaces: %s", rows[i].line, text);
            for (size_t at = 0; at < n; at++) {
                unsigned char byte = (unsigned char)text[at];
                int fits = byte >= 0x20 && byte != 0x7F && byte < 0xC9 && byte != 0xC2;
                CHECK_THAT(fits, "line %zu: byte %02X: %s", rows[i].line, byte, text);
            }
        }
    }
}

/* Whether a word is in the list, which is sorted by bytes. */
static int is_known(const char *word) {
    size_t low = 0, high = plens_table_rows(spelling);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(word, plens_table_cell(spelling, middle, 0, NULL));
        if (order == 0)
            return 1;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return 0;
}

/* Guards spelling: words that nobody has looked at (tests/make_spelling.py). */
static void words_are_known(void) {
    for (size_t i = 0; i < N_QUESTIONS; i++) {
        const char *cells[] = {rows[i].persona, rows[i].prompt, rows[i].gold};
        for (size_t c = 0; c < 3; c++) {
            word_list list;
            cut_words(cells[c], strlen(cells[c]), &list);
            for (size_t w = 0; w < list.count; w++)
                CHECK_THAT(is_known(list.words[w]), "line %zu: %s: a misspelling, or a new word",
                           rows[i].line, list.words[w]);
        }
    }
}

/* Guards variety: the same question twice, however it is spelt; persona and all or without. */
static void no_question_occurs_twice(void) {
    static word_list lists[N_QUESTIONS];
    for (size_t i = 0; i < N_QUESTIONS; i++) {
        cut_words(rows[i].prompt, question_length(&rows[i]), &lists[i]);
        CHECK_THAT(lists[i].count >= 3, "line %zu: %s", rows[i].line, rows[i].prompt);
        for (size_t j = 0; j < i; j++) {
            size_t word = 0;
            while (word < lists[i].count && word < lists[j].count &&
                   strcmp(lists[i].words[word], lists[j].words[word]) == 0)
                word++;
            CHECK_THAT(word < lists[i].count || word < lists[j].count,
                       "lines %zu and %zu ask the same: %s", rows[j].line, rows[i].line,
                       rows[i].prompt);
            CHECK_THAT(strcmp(rows[i].persona, rows[j].persona) != 0,
                       "lines %zu and %zu have the same persona", rows[j].line, rows[i].line);
        }
    }
}

/* Equal, or one the beginning of the other and at least 4 bytes long: "Algiers", "Algerian" pass,
 * "Tunis", "Tunisian" do not. */
static int gives_away(const char *one, const char *other) {
    size_t n = strlen(one) < strlen(other) ? strlen(one) : strlen(other);
    return strcmp(one, other) == 0 || (n >= 4 && strncmp(one, other, n) == 0);
}

static const char *next_alternative(const char *at) {
    at += strcspn(at, "|");
    return *at == '|' ? at + 1 : at;
}

/* Guards the measurement: a gold that is copied from the text before it. */
static void gold_is_not_given_away(void) {
    for (size_t i = 0; i < N_QUESTIONS; i++) {
        word_list text[2], gold;
        cut_words(rows[i].persona, strlen(rows[i].persona), &text[0]);
        cut_words(rows[i].prompt, question_length(&rows[i]), &text[1]);
        cut_words(rows[i].gold, strlen(rows[i].gold), &gold);
        for (size_t g = 0; g < gold.count; g++) {
            for (size_t t = 0; t < 2; t++) {
                for (size_t w = 0; w < text[t].count; w++)
                    CHECK_THAT(!gives_away(gold.words[g], text[t].words[w]),
                               "line %zu: the gold %s stands in: %s", rows[i].line, gold.words[g],
                               t == 0 ? rows[i].persona : rows[i].prompt);
            }
        }
    }
}

/* Guards the gold's form: single words, all different, none empty, and with each one in lower case
 * the same with a capital, since either may follow "answer:". */
static void gold_is_single_words(void) {
    for (size_t i = 0; i < N_QUESTIONS; i++) {
        const char *gold = rows[i].gold;
        CHECK_THAT(strpbrk(gold, " .,;\"()") == NULL, "line %zu: gold %s", rows[i].line, gold);
        for (const char *at = gold; *at != 0; at = next_alternative(at)) {
            size_t n = strcspn(at, "|");
            int capital = 0;
            CHECK_THAT(n > 0, "line %zu: empty alternative in %s", rows[i].line, gold);
            for (const char *other = gold; *other != 0; other = next_alternative(other)) {
                size_t n_other = strcspn(other, "|");
                CHECK_THAT(other == at || n_other != n || memcmp(other, at, n) != 0,
                           "line %zu: an alternative twice in %s", rows[i].line, gold);
                capital |= n_other == n && memcmp(other + 1, at + 1, n - 1) == 0 &&
                           other[0] == toupper((unsigned char)at[0]);
            }
            CHECK_THAT(!islower((unsigned char)at[0]) || capital,
                       "line %zu: no capital alternative for %s", rows[i].line, gold);
        }
    }
}

/* Guards variety of answers: none is the first choice of more than two questions. */
static void answers_vary(void) {
    for (size_t i = 0; i < N_QUESTIONS; i++) {
        size_t times = 0;
        word_list one, other;
        cut_words(rows[i].gold, strcspn(rows[i].gold, "|"), &one);
        for (size_t j = 0; j < N_QUESTIONS; j++) {
            cut_words(rows[j].gold, strcspn(rows[j].gold, "|"), &other);
            times += strcmp(one.words[0], other.words[0]) == 0;
        }
        CHECK_THAT(times <= 2, "%zu questions have the answer %s", times, rows[i].gold);
    }
}

/* Guards the breadth of personas: at least 60 nationalities by their English names. */
static void nationalities_vary(void) {
    static const char *const names =
        "afghan=afghanistan albanian american angolan argentine australian austrian bangladeshi "
        "belgian bolivian bosnian botswanan brazilian british=briton bulgarian burmese cambodian "
        "canadian chilean chinese colombian congolese cuban czech danish=dane dutch=dutchman "
        "egyptian emirati english=englishman=englishwoman ethiopian filipino finnish=finn "
        "french=frenchman=frenchwoman german ghanaian greek grenadian haitian hungarian icelander "
        "indian indonesian iranian iraqi irish=irishman israeli italian jamaican japanese "
        "jordanian kazakh kenyan korean kyrgyz lebanese lithuanian malawian malaysian mexican "
        "mongolian=mongol moroccan nepali=nepal nigerian nigerien norwegian pakistani peruvian "
        "polish=pole portuguese romanian russian saudi scottish=scot serbian=serb "
        "spanish=spaniard swedish=swede swiss syrian tanzanian thai trinidadian turkish=turk "
        "ugandan ukrainian uruguayan uzbek venezuelan vietnamese welsh zimbabwean";
    static word_list personas[N_QUESTIONS];
    size_t n_found = 0;
    for (size_t i = 0; i < N_QUESTIONS; i++)
        cut_words(rows[i].persona, strlen(rows[i].persona), &personas[i]);
    for (const char *at = names; *at != 0; at += strspn(at, " ")) {
        int found = 0;
        for (; *at != 0 && *at != ' '; at += *at == '=') {
            size_t n = strcspn(at, " =");
            for (size_t i = 0; i < N_QUESTIONS && !found; i++) {
                for (size_t w = 0; w < personas[i].count; w++)
                    found |= strlen(personas[i].words[w]) == n &&
                             memcmp(personas[i].words[w], at, n) == 0;
            }
            at += n;
        }
        n_found += (size_t)found;
    }
    CHECK_THAT(n_found >= 60, "%zu nationalities, expected at least 60", n_found);
}

/* Guards the categories: 20 parents of 20 children, all in use, ten questions for each parent and
 * task. */
static void categories_are_covered(void) {
    size_t n = plens_table_rows(categories);
    CHECK_INT(n, 400);
    for (size_t c = 0; c < n; c++) {
        const char *parent = cell(categories, c, "parent"), *child = cell(categories, c, "child");
        size_t n_children = 0, n_uses = 0, per_task[3] = {0, 0, 0};
        for (size_t other = 0; other < n; other++) {
            int same = strcmp(cell(categories, other, "parent"), parent) == 0;
            n_children += (size_t)same;
            CHECK_THAT(other == c || !same || strcmp(cell(categories, other, "child"), child) != 0,
                       "%s, %s stands twice", parent, child);
        }
        for (size_t i = 0; i < N_QUESTIONS; i++) {
            if (strcmp(rows[i].category, parent) != 0)
                continue;
            n_uses += strcmp(rows[i].subcategory, child) == 0;
            for (size_t task = 0; task < 3; task++)
                per_task[task] += strcmp(rows[i].task, tasks[task]) == 0;
        }
        CHECK_THAT(n_children == 20 && n_uses > 0, "%s: %zu children; %s: %zu questions", parent,
                   n_children, child, n_uses);
        for (size_t task = 0; task < 3; task++)
            CHECK_THAT(per_task[task] == 10, "%s: %zu questions of %s", parent, per_task[task],
                       tasks[task]);
    }
}

/* Guards the Japanese file: every row is the row of that id in another language, in its form, and
 * its gold is not in its text. */
static void japanese_questions_are_of_the_same_ids(void) {
    static const char *const tails[] = {" -、答え：", "： -、答え：", "？-、答え："};
    size_t n = plens_table_rows(japanese), at = 0;
    CHECK_INT(n, 120);
    for (size_t i = 0; i < n; i++) {
        const char *id = cell(japanese, i, "id"), *prompt = cell(japanese, i, "prompt");
        const char *persona = cell(japanese, i, "persona");
        size_t line = plens_table_line(japanese, i), task = 0;
        while (at < N_QUESTIONS && strcmp(rows[at].id, id) != 0)
            at++;
        CHECK_THAT(at < N_QUESTIONS, "line %zu: %s is not in personas.tsv, or not in order", line,
                   id);
        const row *q = &rows[at];
        CHECK_STRING(cell(japanese, i, "task"), q->task);
        CHECK_STRING(cell(japanese, i, "category"), q->category);
        CHECK_STRING(cell(japanese, i, "subcategory"), q->subcategory);
        while (strcmp(tasks[task], q->task) != 0)
            task++;
        const char *end = strstr(prompt, tails[task]);
        CHECK_THAT(end != NULL && strcmp(end, tails[task]) == 0, "line %zu: %s", line, prompt);
        CHECK_THAT(strncmp(persona, "あなたは", strlen("あなたは")) == 0, "line %zu: %s", line,
                   persona);
        for (const char *gold = cell(japanese, i, "gold"); *gold != 0;) {
            char word[64];
            size_t length = strcspn(gold, "|");
            CHECK_THAT(length > 0 && length < sizeof word, "line %zu: gold %s", line, gold);
            memcpy(word, gold, length);
            word[length] = 0;
            CHECK_THAT(strstr(prompt, word) == NULL && strstr(persona, word) == NULL,
                       "line %zu: the gold %s is in the text", line, word);
            gold = next_alternative(gold);
        }
    }
}

int main(void) {
    plens_error error;
    if (open_data(&error) != PLENS_OK) {
        printf("%s\n", error.message);
        test_failed++;
    } else {
        RUN(rows_have_their_form);
        RUN(text_is_clean);
        RUN(words_are_known);
        RUN(no_question_occurs_twice);
        RUN(gold_is_not_given_away);
        RUN(gold_is_single_words);
        RUN(answers_vary);
        RUN(nationalities_vary);
        RUN(categories_are_covered);
        RUN(japanese_questions_are_of_the_same_ids);
    }
    plens_table_close(questions);
    plens_table_close(categories);
    plens_table_close(japanese);
    plens_table_close(spelling);
    plens_context_destroy(context);
    return test_finish();
}
