/* What a long run says of itself. The program's own sources are taken in whole: it is no library.
 */
#include "tests/harness/system.c"
#undef _DEFAULT_SOURCE /* each asks for it */

#include "tests/harness/message.c"
#include "tests/harness/progress.c"
#include "tests/test.h"

static char text[PROGRESS_TEXT];

/* Guards against a rate or a time left that is not what the numbers say: a quarter of 4,000 tokens
 * in ten seconds. */
static void rate_and_time_left(void) {
    progress p = {.n_tokens = 4000, .first_seconds = 100};
    plens_progress now = {1, 1, 3, 12, 0.25};
    progress_text(&p, &now, 110, text);
    CHECK_STRING(text, " 25 %  layer 3/12, 100 tokens/s, 0:30 left");
    now = (plens_progress){2, 3, 13, 12, 0.5};
    progress_text(&p, &now, 4100, text);
    CHECK_STRING(text, " 50 %  part 2/3 lens, 0.5 tokens/s, 1:06:40 left");
}

/* Guards against a run that goes on and counts what was done before as its own: it seems to be done
 * at once, at an enormous rate. */
static void a_run_that_goes_on(void) {
    progress p = {.n_tokens = 4000, .resumed = 1, .quiet = 1, .first_seconds = 100};
    plens_progress now = {1, 1, 8, 12, 0.6};
    CHECK_INT(progress_update(&p, &now), 0);
    p.first_seconds = 100;
    now.fraction = 0.7;
    progress_text(&p, &now, 110, text);
    CHECK_STRING(text, " 70 %  layer 8/12, 40 tokens/s, 0:30 left");
}

/* Guards against a line longer than the terminal is wide: it would wrap and not be drawn over. */
static void as_wide_as_the_terminal(void) {
    progress p = {.n_tokens = 4000, .terminal = 1, .first_seconds = 100};
    plens_progress now = {1, 1, 3, 12, 0.5};
    for (p.columns = 1; p.columns < 120; p.columns++) {
        progress_text(&p, &now, 110, text);
        CHECK(strlen(text) < p.columns);
        CHECK_INT(text[0] == '[', p.columns >= 42 + 8 + 1);
    }
    CHECK_STRING(text,
                 "[###############...............]  50 %  layer 3/12  200 tokens/s  0:10 left");
    p.columns = 0; /* not known */
    progress_text(&p, &now, 110, text);
    CHECK(strlen(text) < 80);
}

int main(void) {
    RUN(rate_and_time_left);
    RUN(a_run_that_goes_on);
    RUN(as_wide_as_the_terminal);
    return test_finish();
}
