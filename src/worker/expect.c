#include "worker/expect.h"

#include "sched/policy_cost.h"

enum {
    CLOSE_LOOK_NS =
        10000,          /* looks that follow each other so closely measure a job's end */
    LEAST_WAIT_US = 10, /* between two looks for a job that is overdue */
    SPARE_US = 10,      /* of the margin: jobs do not take equally long */
    MARGIN_MOST_US = 80,
    SHORT_US = 100,        /* jobs shorter than this are worth polling for */
    POLL_ONE_IN = 10,      /* of the time, at most, with several jobs on the device */
    CREDIT_MOST_US = 1000, /* that polling may take at a stretch */
};

float *hsi_expect_of(const hsi_flight *f, uint32_t members)
{
    const hsi_job *job = f->jobs[0];
    const hsi_exec_model *model = ((const hsi_exec_run *)job->run)->model;
    float *row = model->expected_us + job->device * model->expectations;
    return members == 1 ? &row[job->section]
                        : &row[model->plan->section_count + members - 1];
}

/* ---- Segments ------------------------------------------------------------- */

/* What the job is expected to take. A batch of a size that never was takes no longer than the next
 * larger one, or than a smaller one in proportion; 0: unknown. */
static float whole_us(const hsi_flight *f, uint32_t members)
{
    float least = 0;
    for (uint32_t m = members; m <= HSI_QUEUE_BATCH && least == 0; m++)
        least = *hsi_expect_of(f, m);
    for (uint32_t m = members - 1; m > 0; m--) {
        const float us = *hsi_expect_of(f, m) * (float)members / (float)m;
        if (us > 0)
            return least > 0 && least < us ? least : us;
    }
    return least;
}

/* What is much of a change cuts the job anew. */
static float cut_by(const hsi_flight *f, uint32_t members)
{
    const hsi_exec_model *model = ((const hsi_exec_run *)f->jobs[0]->run)->model;
    float *cut = model->cut_us + (hsi_expect_of(f, members) - model->expected_us);
    const float now = whole_us(f, members);
    if (now > *cut * 1.5f || now * 1.5f < *cut)
        *cut = now;
    return *cut;
}

static float weight_of(const hsi_job *job, uint32_t section)
{
    const hsi_exec_model *model = ((const hsi_exec_run *)job->run)->model;
    const hsi_choices *c = job->run->model->choices;
    const float us =
        c && c->count > 0 ? c->section_us[section * c->device_count + job->device] : 0;
    return us > 0 ? us : model->section_work[section];
}

float hsi_expect_cut(hsi_flight *f, uint32_t members, uint64_t bound_us)
{
    const hsi_job *job = f->jobs[0];
    const uint32_t left = job->count - job->done;
    float sum = 0;
    f->sections = left;
    f->segment_us = 0;
    f->bound_us = bound_us;
    if (bound_us == UINT64_MAX && job->done == 0)
        return 0;
    const float whole = cut_by(f, members), bound = (float)bound_us;
    for (uint32_t i = 0; i < job->count; i++)
        sum += weight_of(job, job->section + i);
    if (!(whole > 0) || !(sum > 0))
        return 0;
    const float us = whole / sum;
    f->segment_us = us * weight_of(job, job->section + job->done);
    for (f->sections = 1; f->sections < left; f->sections++) {
        const uint32_t next = job->section + job->done + f->sections;
        const float more = us * weight_of(job, next);
        if (f->segment_us + more > bound)
            break;
        f->segment_us += more;
    }
    const float expected_us = f->segment_us;
    if (f->sections == job->count)
        f->segment_us = 0;
    return expected_us;
}

static void approach(float *expected, float took)
{
    if (*expected == 0 || took < *expected)
        *expected = took;
    else
        *expected += 0.2f * (took - *expected);
}

void hsi_expect_learn_whole(const hsi_flight *f, uint32_t members, uint64_t took_ns)
{
    approach(hsi_expect_of(f, members), (float)took_ns / 1000);
}

/* ---- Ends ----------------------------------------------------------------- */

/* It ended between the last look that saw it running and now. If these are far apart, who attends
 * either slept past the end that he expected, and knows only that he expected it too late;
 * or it was overdue, and he knows how long it ran at least. */
void hsi_expect_learn(hsi_flight *f, uint64_t now_ns)
{
    const float took = (float)(now_ns - f->started_ns) / 1000;
    const float least = (float)(f->unfinished_ns - f->started_ns) / 1000;
    float *expected = f->expected_us;
    if (now_ns - f->unfinished_ns <= CLOSE_LOOK_NS) {
        approach(expected, took);
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

/* 0 if all jobs in flight are long. */
static int has_short_job(const hsi_queue *q)
{
    for (uint32_t lane = 0; lane < q->lanes; lane++) {
        const hsi_flight *f = &q->flights[lane];
        if (f->state == HSI_FLIGHT_RUNNING && *f->expected_us < SHORT_US)
            return 1;
    }
    return 0;
}

int hsi_expect_may_poll(hsi_queue *q, uint64_t now_us)
{
    const uint64_t passed = now_us - q->credited_us;
    q->credited_us = now_us;
    q->poll_credit_us += passed < CREDIT_MOST_US * POLL_ONE_IN
                             ? (double)passed / POLL_ONE_IN
                             : CREDIT_MOST_US;
    if (q->poll_credit_us > CREDIT_MOST_US)
        q->poll_credit_us = CREDIT_MOST_US;
    return q->running <= 1 || q->poll_credit_us > 0 || has_short_job(q);
}

/* What polling for one job, or a short one, takes beyond the credit is not owed by later jobs. */
void hsi_expect_polled(hsi_queue *q, uint64_t us)
{
    q->poll_credit_us -= (double)us;
    if (q->poll_credit_us < -CREDIT_MOST_US)
        q->poll_credit_us = -CREDIT_MOST_US;
}
