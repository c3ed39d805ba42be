#include "worker/expect.h"

enum {
    CLOSE_LOOK_NS =
        10000,          /* looks that follow each other so closely measure a job's end */
    LEAST_WAIT_US = 10, /* between two looks for a job that is overdue */
    SPARE_US = 10,      /* of the margin: jobs do not take equally long */
    MARGIN_MOST_US = 80
};

float *hsi_expect_of(const hsi_flight *f, uint32_t members)
{
    const hsi_job *job = f->jobs[0];
    const hsi_exec_model *model = ((const hsi_exec_run *)job->run)->model;
    float *row = model->expected_us + job->device * model->expectations;
    return members == 1 ? &row[job->section]
                        : &row[model->plan->section_count + members - 1];
}

/* It ended between the last look that saw it running and now. If these are far apart, who attends
 * either slept past the end that he expected, and knows only that he expected it too late;
 * or it was overdue, and he knows how long it ran at least. */
void hsi_expect_learn(hsi_flight *f, uint64_t now_ns)
{
    const float took = (float)(now_ns - f->started_ns) / 1000;
    const float least = (float)(f->unfinished_ns - f->started_ns) / 1000;
    float *expected = f->expected_us;
    if (now_ns - f->unfinished_ns <= CLOSE_LOOK_NS) {
        if (*expected == 0 || took < *expected)
            *expected = took;
        else
            *expected += 0.2f * (took - *expected);
    } else if (least >= *expected) {
        *expected += 0.2f * ((least + took) / 2 - *expected);
    } else {
        *expected = 0.7f * (took < *expected ? took : *expected);
    }
}

uint64_t hsi_expect_look_us(const hsi_flight *f, uint64_t margin_us)
{
    const uint64_t started = f->started_ns / 1000, looked = f->unfinished_ns / 1000;
    const uint64_t end = started + (uint64_t)*f->expected_us;
    if (looked <= end + margin_us)
        return end > margin_us ? end - margin_us : 0;
    const uint64_t wait = (looked - end) / 2;
    return looked + (wait > LEAST_WAIT_US ? wait : LEAST_WAIT_US);
}

uint64_t hsi_expect_margin_us(const hsi_queue *q)
{
    const uint64_t wanted = q->late_us + SPARE_US;
    return wanted < MARGIN_MOST_US ? wanted : MARGIN_MOST_US;
}

void hsi_expect_slept(hsi_queue *q, uint64_t until_us, uint64_t now_us)
{
    const uint64_t late = now_us > until_us ? now_us - until_us : 0;
    const uint32_t faded = q->late_us - (q->late_us + 7) / 8;
    q->late_us = late < faded            ? faded
                 : late < MARGIN_MOST_US ? (uint32_t)late
                                         : MARGIN_MOST_US;
}
