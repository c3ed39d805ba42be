#include "cost/load.h"

#include <math.h>

enum {
    SPAN_US =
        100000, /* the load is that of so long ago, at most, and half of it at the median */
    LEAST = 3   /* observations: fewer say little, and are read as no load if possible */
};

/* Below a factor of 1.15 there is no load: it could not be told from what jobs of different kinds
 * lose by chance, and the entries themselves learn it. This also is what ties the sum of all
 * corrections down: without it they could drift one way and the load the other. */
#define NOTICED 0.14
#define LOG_MAX 4.2 /* a factor of 66 */
/* A job that others make take longer than this many times says what the device gave to whom, and
 * little about its entry; it teaches only what nobody has measured. */
#define TEACHES_UP_TO 2.0
/* Others count. Then less is noticed: jobs of different networks suit each other better, or
 * worse. */
#define SHARED         1.2
#define NOTICED_SHARED 0.2
/* A vote that is further from the median than this (a factor of three) counts as one that is
 * not. */
#define OUTLIER 1.1

/* ---- Medians -------------------------------------------------------------- */

typedef struct vote {
    uint64_t entry;
    double value;
} vote;

static int before(const vote *a, const vote *b)
{
    return a->entry != b->entry ? a->entry < b->entry : a->value < b->value;
}

static void sort(vote *votes, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        const vote moved = votes[i];
        uint32_t k = i;
        for (; k > 0 && before(&moved, &votes[k - 1]); k--)
            votes[k] = votes[k - 1];
        votes[k] = moved;
    }
}

static double nearer_to_zero(double low, double high)
{
    return low > 0 ? low : high < 0 ? high : 0;
}

/* Of sorted votes. Of two middle ones it is the one that needs less load: their mean would be far
 * off if one of two was an outlier. */
static double median(const vote *votes, uint32_t count)
{
    return count % 2 ? votes[count / 2].value
                     : nearer_to_zero(votes[count / 2 - 1].value, votes[count / 2].value);
}

/* Sorted votes of all entries -> one vote of each, sorted. Returns how many. */
static uint32_t one_vote_each(vote *votes, uint32_t count)
{
    uint32_t entries = 0;
    for (uint32_t first = 0, end; first < count; first = end) {
        end = first + 1;
        while (end < count && votes[end].entry == votes[first].entry)
            end++;
        votes[entries++] = (vote){ .value = median(&votes[first], end - first) };
    }
    sort(votes, entries);
    return entries;
}

static double most_say(vote *votes, uint32_t count)
{
    if (count >= LEAST) {
        sort(votes, count);
        return median(votes, one_vote_each(votes, count));
    }
    if (count < 2)
        return 0;
    const int in_order = votes[0].value < votes[1].value;
    return nearer_to_zero(votes[!in_order].value, votes[in_order].value);
}

/* ---- The window ----------------------------------------------------------- */

/* The k-th latest, k from 0. */
static hsi_cost_observation *latest(hsi_cost_load *load, uint32_t k)
{
    return &load->ring[(load->next + HSI_COST_LOAD_WINDOW - 1 - k) %
                       HSI_COST_LOAD_WINDOW];
}

/* Observations of the last span, or the last three if these are not older than two. */
static uint32_t window_length(hsi_cost_load *load, uint64_t now_us)
{
    uint32_t count = 0;
    while (count < load->count) {
        const uint64_t age = now_us - latest(load, count)->time_us;
        if (age > (count < LEAST ? 2 * load->span_us : load->span_us))
            break;
        count++;
    }
    return count;
}

static int is_shared(hsi_cost_load *load, uint32_t length)
{
    for (uint32_t k = 0; k < length; k++)
        if (latest(load, k)->stretch > SHARED)
            return 1;
    return 0;
}

/*
 * By what all jobs took together, which is what a device does in whatever order it serves them:
 * one after the other the first are faster than expected, and the last slower; small kernels wait
 * for large ones. One step of an M-estimate from the middle (Huber, "Robust Estimation of a
 * Location Parameter", 1964).
 */
static double by_work(hsi_cost_load *load, uint32_t length, double middle)
{
    double took = 0, expected = 0;
    for (uint32_t k = 0; k < length; k++) {
        const hsi_cost_observation *o = latest(load, k);
        const double off = fmax(-OUTLIER, fmin(o->vote - middle, OUTLIER));
        took += o->votes ? o->weight * exp(off) : 0;
        expected += o->votes ? o->weight : 0;
    }
    return expected > 0 ? middle + log(took / expected) : middle;
}

static double load_of_window(hsi_cost_load *load, uint32_t length)
{
    vote votes[HSI_COST_LOAD_WINDOW];
    uint32_t count = 0;
    for (uint32_t k = 0; k < length; k++) {
        const hsi_cost_observation *o = latest(load, k);
        if (o->votes)
            votes[count++] = (vote){ o->entry, o->vote };
    }
    double found = most_say(votes, count), noticed = NOTICED;
    if (count >= LEAST && is_shared(load, length)) {
        /* Nothing outside makes a device faster: jobs suit each other better than was
         * measured. */
        found = fmax(0, by_work(load, length, found));
        noticed = NOTICED_SHARED;
    }
    return found < noticed && found > -noticed ? 0 : fmax(-LOG_MAX, fmin(found, LOG_MAX));
}

static void push(hsi_cost_load *load, const hsi_cost_observation *observation)
{
    hsi_cost_observation *o = &load->ring[load->next];
    load->next = (load->next + 1) % HSI_COST_LOAD_WINDOW;
    if (load->count < HSI_COST_LOAD_WINDOW)
        load->count++;
    *o = *observation;
    if (o->time_us < load->latest_us) /* threads may report in another order */
        o->time_us = load->latest_us;
    /* It came while the device was believed loaded: it teaches nobody. */
    o->judged = (o->votes && o->stretch > TEACHES_UP_TO) ||
                hsi_cost_load_log(load, o->time_us) != 0;
    load->latest_us = o->time_us;
}

/* Oldest first, those which have at least half of the window after them. */
static uint32_t judge(hsi_cost_load *load, uint32_t length, hsi_cost_observation *learned)
{
    uint32_t count = 0;
    for (uint32_t k = load->count; k-- > 0;) {
        hsi_cost_observation *o = latest(load, k);
        if (o->judged || k < (length + 1) / 2)
            continue;
        o->judged = 1;
        if (load->log == 0)
            learned[count++] = *o;
    }
    return count;
}

uint32_t hsi_cost_load_observe(hsi_cost_load *load,
                               const hsi_cost_observation *observation,
                               double duration_us,
                               hsi_cost_observation learned[HSI_COST_LOAD_WINDOW])
{
    const double span = 1.25 * duration_us;
    push(load, observation);
    /* Of jobs that take long, two must have room; of absurd times nothing. */
    load->span_us = span > SPAN_US && span < 1e12 ? (uint64_t)span : SPAN_US;
    const uint32_t length = window_length(load, load->latest_us);
    load->log = load_of_window(load, length);
    return judge(load, length, learned);
}

void hsi_cost_load_forget(hsi_cost_load *load, uint64_t entry)
{
    for (uint32_t k = 0; k < load->count; k++)
        if (latest(load, k)->entry == entry) {
            latest(load, k)->votes = 0;
            latest(load, k)->judged = 1;
        }
}

/* What was noticed is believed for a span, then less and less of it for another one. */
double hsi_cost_load_log(const hsi_cost_load *load, uint64_t now_us)
{
    if (load->log == 0 || now_us <= load->latest_us + load->span_us)
        return load->log;
    const uint64_t over = now_us - load->latest_us - load->span_us;
    return over >= load->span_us ? 0
                                 : load->log * (1 - (double)over / (double)load->span_us);
}
