/* The thread that reads ahead: jobs in order, none lost, and an end at any moment. */
#include "runtime/reader.h"
#include "tests/faults.h"
#include "tests/test.h"

typedef struct job {
    plens__reader *reader;
    int n_done, until_stopped, saw_stop;
} job;

static void work(void *arg) {
    job *j = arg;
    while (j->until_stopped && !plens__reader_stopping(j->reader))
        ;
    j->saw_stop = plens__reader_stopping(j->reader);
    j->n_done++;
}

static plens_status open_reader(const plens_allocator *allocator, void *data, plens_error *error) {
    plens__reader *reader;
    (void)data;
    plens_status status = plens__reader_open(allocator, &reader, error);
    if (status == PLENS_OK)
        plens__reader_close(reader);
    return status;
}

/* Guards against a job that is lost, done twice, or not yet done when it has been waited for. */
static void each_job_is_done_once(void) {
    faults state = {0, 0, 0, 0};
    const plens_allocator allocator = {faults_reallocate, &state};
    job j = {0};
    plens_error error;
    CHECK_OK(plens__reader_open(&allocator, &j.reader, &error), error);
    plens__reader_wait(j.reader);
    for (int i = 1; i <= 1000; i++) {
        plens__reader_start(j.reader, work, &j);
        plens__reader_wait(j.reader);
        plens__reader_wait(j.reader);
        CHECK_INT(j.n_done, i);
        CHECK_INT(j.saw_stop, 0);
    }
    plens__reader_close(j.reader);
    CHECK_INT(state.outstanding, 0);
}

/* Guards against a reader that cannot be ended while it reads, and memory it leaves. */
static void closing_stops_a_job(void) {
    faults state = {0, 0, 0, 0};
    const plens_allocator allocator = {faults_reallocate, &state};
    for (int i = 0; i < 50; i++) {
        job j = {.until_stopped = 1};
        plens_error error;
        CHECK_OK(plens__reader_open(&allocator, &j.reader, &error), error);
        plens__reader_start(j.reader, work, &j);
        plens__reader_close(j.reader);
        CHECK(j.n_done == 0 || j.saw_stop);
        CHECK_INT(state.outstanding, 0);
    }
    plens__reader_close(NULL);
}

/* Guards against a failed allocation that crashes or leaks. */
static void failed_allocations_are_reported(void) {
    const char *problem = faults_sweep(open_reader, NULL);
    CHECK_THAT(problem == NULL, "%s", problem);
}

int main(void) {
    RUN(each_job_is_done_once);
    RUN(closing_stops_a_job);
    RUN(failed_allocations_are_reported);
    return test_finish();
}
