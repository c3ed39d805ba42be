#include "backend/cpu/measure.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/tensor.h"

/* A rival that takes so many times as long as another is not measured again; the first run, that
 * finds nothing in the caches, is judged more kindly. */
#define CLEARLY_SLOWER 1.25
#define HOPELESS       2.0
/* Unless that took less than this: what it found cold may be most of it. */
#define CHEAP_US   500.0
#define CHEAP_RUNS 3
/* Turns after the first one, until so much time was spent on the fastest. */
#define MAX_TURNS 8
#define ENOUGH_US 3000.0
/* Shorter runs are timed several at once. */
#define SHORT_US    20.0
#define MAX_REPEATS 100.0

/* In a network a step finds its inputs in the caches, but not its weights, where they are more than
 * so many bytes: others' were there since. So many bytes are read before each run, then the
 * inputs. */
#define FEW_WEIGHTS (128 * 1024)
#define SWEEP_BYTES ((size_t)8 << 20)

typedef struct made_up {
    void *in[HSCHED_STEP_MAX_INPUTS], *out;
    size_t in_bytes[HSCHED_STEP_MAX_INPUTS];
    char *sweep;                                /* or NULL: weights are few */
    void *operands[HSCHED_STEP_MAX_INPUTS + 1]; /* as run gets them */
} made_up;

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

/* Values of ordinary size, so that none is denormal or overflows. */
static hsched_status make_tensor(const hsched_operand *operand, void **tensor)
{
    const size_t size = hsi_cpu_operand_span(operand);
    *tensor = size ? hsi_alloc_aligned(size) : NULL;
    if (!*tensor)
        return hsi_out_of_memory("a tensor to measure kernels with");
    memset(*tensor, 0, size);
    float *values = *tensor;
    for (size_t i = 0; operand->dtype == HSCHED_FLOAT32 && i < size / sizeof *values; i++)
        values[i] = (float)((i * 2654435761u >> 7) % 1009) / 504.0f - 1;
    return HSCHED_OK;
}

static hsched_status make_tensors(const hsched_step *step, made_up *m)
{
    hsched_status status = make_tensor(&step->out, &m->out);
    m->operands[step->input_count] = m->out;
    for (uint32_t i = 0; i < step->input_count && status == HSCHED_OK; i++) {
        const hsched_operand *operand = &step->in[i];
        if (operand->constant || operand->dtype == HSCHED_DTYPE_NONE)
            continue;
        if (step->out_aliases == (int)i) {
            m->operands[i] = m->out;
            continue;
        }
        status = make_tensor(operand, &m->in[i]);
        m->operands[i] = m->in[i];
        m->in_bytes[i] = hsi_cpu_operand_span(operand);
    }
    return status;
}

static void free_tensors(made_up *m)
{
    for (uint32_t i = 0; i < HSCHED_STEP_MAX_INPUTS; i++)
        hsi_free(m->in[i]);
    hsi_free(m->out);
    hsi_free(m->sweep);
}

static hsched_status make_sweep(const hsched_step *step, made_up *m)
{
    size_t weights = 0;
    for (uint32_t i = 0; i < step->input_count; i++)
        if (step->in[i].constant)
            weights += hsi_cpu_operand_span(&step->in[i]);
    if (weights <= FEW_WEIGHTS)
        return HSCHED_OK;
    m->sweep = hsi_alloc_aligned(SWEEP_BYTES);
    if (!m->sweep)
        return hsi_out_of_memory("what measuring needs to empty caches");
    memset(m->sweep, 1, SWEEP_BYTES);
    return HSCHED_OK;
}

static void read_lines(const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i += 64)
        (void)*(const volatile char *)(bytes + i);
}

static void cool_down(const made_up *m)
{
    if (!m->sweep)
        return;
    read_lines(m->sweep, SWEEP_BYTES);
    for (uint32_t i = 0; i < HSCHED_STEP_MAX_INPUTS; i++)
        if (m->in[i])
            read_lines(m->in[i], m->in_bytes[i]);
}

static hsched_status open_rival(hsi_cpu_rival *r)
{
    const hsi_cpu_kernel *kernel = r->choice.kernel;
    r->us = INFINITY;
    if (r->choice.prepared.scratch_size > 0) {
        r->scratch = hsi_alloc_aligned(r->choice.prepared.scratch_size);
        if (!r->scratch)
            return hsi_out_of_memory("scratch to measure kernels with");
    }
    return kernel->slot_create
               ? kernel->slot_create(&r->step, r->choice.prepared.state, &r->slot_state)
               : HSCHED_OK;
}

static void close_rival(hsi_cpu_rival *r)
{
    if (r->slot_state && r->choice.kernel->slot_destroy)
        r->choice.kernel->slot_destroy(r->slot_state);
    hsi_free(r->scratch);
    r->slot_state = r->scratch = NULL;
}

/* Reading the clock takes some tenths of a microsecond. */
static int choose_repeats(const hsi_cpu_rival *r, const made_up *m)
{
    if (m->sweep || r->us >= SHORT_US)
        return 1;
    return (int)fmin(SHORT_US / fmax(r->us, 0.01), MAX_REPEATS);
}

/* One run, or some short ones; the time of one, or infinity. */
static double run(hsi_cpu_rival *r, const made_up *m)
{
    const int repeats = choose_repeats(r, m);
    cool_down(m);
    const double begin = now_us();
    for (int k = 0; k < repeats; k++)
        for (uint32_t part = 0; part < r->step.parts; part++)
            if (r->choice.kernel->run(&r->step, r->choice.prepared.state, r->slot_state,
                                      m->operands, part, r->scratch) != HSCHED_OK)
                return INFINITY;
    return (now_us() - begin) / repeats;
}

static void take_turns(hsi_cpu_rival *rivals, uint32_t count, const made_up *m)
{
    double best = INFINITY;
    for (uint32_t i = 0; i < count; i++) {
        rivals[i].us = run(&rivals[i], m);
        if (rivals[i].us <= HOPELESS * best)
            rivals[i].us = run(&rivals[i], m);
        for (int k = 0; k < CHEAP_RUNS && rivals[i].us < CHEAP_US; k++)
            rivals[i].us = fmin(rivals[i].us, run(&rivals[i], m));
        best = fmin(best, rivals[i].us);
    }
    double spent = best;
    for (int turn = 0; turn < MAX_TURNS && spent < ENOUGH_US; turn++, spent += best)
        for (uint32_t i = 0; i < count; i++)
            if (rivals[i].us <= CLEARLY_SLOWER * best) {
                rivals[i].us = fmin(rivals[i].us, run(&rivals[i], m));
                best = fmin(best, rivals[i].us);
            }
}

hsched_status hsi_cpu_measure(hsi_cpu_rival *rivals, uint32_t count)
{
    made_up m = { { NULL } };
    hsched_status status = make_tensors(&rivals[0].step, &m);
    if (status == HSCHED_OK)
        status = make_sweep(&rivals[0].step, &m);
    for (uint32_t i = 0; i < count && status == HSCHED_OK; i++)
        status = open_rival(&rivals[i]);
    if (status == HSCHED_OK)
        take_turns(rivals, count, &m);
    for (uint32_t i = 0; i < count; i++)
        close_rival(&rivals[i]);
    free_tensors(&m);
    return status;
}
