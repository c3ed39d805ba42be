/* Memory, data and judgement of random steps; random_kinds.c invents the steps
 * themselves. */
#include "backend/random_maker.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/element.h"

/* ---- Random numbers: splitmix64 ---- */

uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

int64_t random_range(uint64_t *state, int64_t low, int64_t high)
{
    return low + (int64_t)(random_next(state) % (uint64_t)(high - low + 1));
}

int random_chance(uint64_t *state, int percent)
{
    return random_range(state, 1, 100) <= percent;
}

double random_uniform(uint64_t *state, double low, double high)
{
    return low + (high - low) * (double)(random_next(state) >> 11) * 0x1p-53;
}

/* ---- Memory ---- */

/* Tests end with a message where the library would return OUT_OF_MEMORY. */
void *random_alloc(size_t size)
{
    void *memory = NULL;
    if (posix_memalign(&memory, 64, size > 0 ? size : 1) != 0) {
        fprintf(stderr, "out of memory in a test\n");
        exit(1);
    }
    return memory;
}

static const uint8_t pattern[4] = { 0xa5, 0x5a, 0xc0, 0x7f }; /* a NaN */

void random_fill_pattern(uint8_t *block, size_t size)
{
    for (size_t i = 0; i < size; i++)
        block[i] = pattern[i % 4];
}

static void each_element(const hsched_operand *op,
                         void (*visit)(void *user, int64_t offset), void *user)
{
    int64_t index[HSCHED_MAX_DIMS] = { 0 };
    for (;;) {
        int64_t offset = 0;
        uint32_t d = op->rank;
        for (uint32_t k = 0; k < op->rank; k++)
            offset += index[k] * op->strides[k];
        visit(user, offset);
        while (d > 0 && ++index[d - 1] == op->dims[d - 1])
            index[--d] = 0;
        if (d == 0)
            return;
    }
}

/* A block around the operand's elements: at least `guard` bytes in front, `guard` behind,
 * and the first element `shift` elements behind a multiple of 64 bytes. */
static void make_memory(random_memory *memory, const hsched_operand *op, size_t guard,
                        size_t shift)
{
    const size_t size = hsched_dtype_size(op->dtype);
    int64_t low = 0, high = 0;
    for (uint32_t d = 0; d < op->rank; d++) {
        int64_t reach = (op->dims[d] - 1) * op->strides[d];
        low += reach < 0 ? reach : 0;
        high += reach > 0 ? reach : 0;
    }
    memory->first = (guard + (size_t)-low * size + 63) / 64 * 64 + shift * size;
    memory->size = memory->first + ((size_t)high + 1) * size + guard;
    memory->block = random_alloc(memory->size);
    random_fill_pattern(memory->block, memory->size);
}

static void keep_pristine(random_memory *memory)
{
    memory->pristine = random_alloc(memory->size);
    memcpy(memory->pristine, memory->block, memory->size);
}

static size_t random_shift(random_maker *m)
{
    return (size_t)random_range(&m->rng, 0, 15);
}

typedef struct filler {
    random_maker *maker;
    uint8_t *first;
    hsched_dtype dtype;
    int by_role;
    random_role role;
    double low, high; /* by role: high is the bound */
} filler;

static double role_value(random_maker *m, random_role role, double bound)
{
    switch (m->values) {
    case RANDOM_VALUES_POSITIVE:
        return random_uniform(&m->rng, 0.1, 1) * bound;
    case RANDOM_VALUES_GRID:
        if (role == RANDOM_ROLE_WEIGHT)
            return (double)random_range(&m->rng, -1, 1);
        return 0.25 * (double)random_range(&m->rng, -12, 12) +
               (role == RANDOM_ROLE_BIAS ? 0.125 : 0);
    default:
        return random_uniform(&m->rng, -bound, bound);
    }
}

static void fill_one(void *user, int64_t offset)
{
    filler *f = user;
    const int64_t size = (int64_t)hsched_dtype_size(f->dtype);
    if (hsi_is_real(f->dtype)) {
        const double wide = f->by_role ? role_value(f->maker, f->role, f->high)
                                       : random_uniform(&f->maker->rng, f->low, f->high);
        const float narrow = (float)wide;
        memcpy(f->first + offset * size,
               f->dtype == HSCHED_FLOAT32 ? (const void *)&narrow : &wide, (size_t)size);
        return;
    }
    uint64_t bits = random_next(&f->maker->rng);
    memcpy(f->first + offset * size, &bits, (size_t)size);
}

static void make_input(random_maker *m, uint32_t i, filler fill)
{
    random_step *r = m->made;
    random_memory *memory = &r->in[i];
    if (r->step.out_aliases == (int)i)
        memory = &r->out;
    else
        make_memory(memory, &r->step.in[i], 0, random_shift(m));
    fill.maker = m;
    fill.first = memory->block + memory->first;
    fill.dtype = r->step.in[i].dtype;
    each_element(&r->step.in[i], fill_one, &fill);
}

void random_input(random_maker *maker, uint32_t i, double low, double high)
{
    make_input(maker, i, (filler){ .low = low, .high = high });
}

void random_input_role(random_maker *maker, uint32_t i, random_role role, double bound)
{
    make_input(maker, i, (filler){ .by_role = 1, .role = role, .high = bound });
}

static void fill_small(void *user, int64_t offset)
{
    filler *f = user;
    const size_t size = hsched_dtype_size(f->dtype);
    const int64_t value = random_range(&f->maker->rng, (int64_t)f->low, (int64_t)f->high);
    memcpy(f->first + offset * (int64_t)size, &value, size); /* little endian */
}

void random_small_integers(random_maker *maker, uint32_t i, int64_t low, int64_t high)
{
    random_memory *memory = &maker->made->in[i];
    filler fill = { .maker = maker,
                    .first = memory->block + memory->first,
                    .dtype = maker->made->step.in[i].dtype,
                    .low = (double)low,
                    .high = (double)high };
    each_element(&maker->made->step.in[i], fill_small, &fill);
}

static void fill_not_number(void *user, int64_t offset)
{
    const filler *f = user;
    const int64_t size = (int64_t)hsched_dtype_size(f->dtype);
    const float narrow = NAN;
    const double wide = NAN;
    if (chance(f->maker, (int)f->high))
        memcpy(f->first + offset * size,
               f->dtype == HSCHED_FLOAT32 ? (const void *)&narrow : &wide, (size_t)size);
}

static void fill_bits(void *user, int64_t offset)
{
    const filler *f = user;
    const int64_t size = (int64_t)hsched_dtype_size(f->dtype);
    const uint64_t bits = random_next(&f->maker->rng);
    memcpy(f->first + offset * size, &bits, (size_t)size);
}

void random_not_numbers(random_maker *maker, uint32_t i, int percent)
{
    random_memory *memory = &maker->made->in[i];
    filler fill = { .maker = maker,
                    .first = memory->block + memory->first,
                    .dtype = maker->made->step.in[i].dtype,
                    .high = percent };
    each_element(&maker->made->step.in[i], fill_not_number, &fill);
}

void random_any_bits(random_maker *maker, uint32_t i)
{
    random_memory *memory = &maker->made->in[i];
    filler fill = { .maker = maker,
                    .first = memory->block + memory->first,
                    .dtype = maker->made->step.in[i].dtype };
    each_element(&maker->made->step.in[i], fill_bits, &fill);
}

static float on_level(float x, hsched_levels levels)
{
    const float level = nearbyintf(x / levels.step);
    return levels.step * fminf(fmaxf(level, levels.lowest), levels.lowest + 255);
}

static void put_on_level(void *user, int64_t offset)
{
    const filler *f = user;
    float x;
    memcpy(&x, f->first + offset * (int64_t)sizeof x, sizeof x);
    x = on_level(x, f->maker->made->step.in[0].levels);
    memcpy(f->first + offset * (int64_t)sizeof x, &x, sizeof x);
}

void random_put_on_levels(random_maker *maker, hsched_levels levels)
{
    random_memory *memory = &maker->made->in[0];
    filler fill = { .maker = maker, .first = memory->block + memory->first };
    maker->made->step.in[0].levels = levels;
    each_element(&maker->made->step.in[0], put_on_level, &fill);
}

void random_quantise_weights(random_maker *maker, int whole)
{
    const hsched_operand *op = &maker->made->step.in[1];
    random_memory *memory = &maker->made->in[1];
    float *w = (float *)(memory->block + memory->first);
    for (int64_t c = 0; c < op->dims[0]; c++, w += op->strides[0]) {
        float most = 0;
        for (int64_t k = 0; k < op->strides[0]; k++)
            most = fmaxf(most, fabsf(w[k]));
        const float scale = most / (float)whole;
        for (int64_t k = 0; k < op->strides[0] && most > 0; k++)
            w[k] = on_level(w[k], (hsched_levels){ scale, -128 });
    }
}

typedef struct marker {
    uint8_t *first;
    size_t size;
} marker;

static void mark_one(void *user, int64_t offset)
{
    marker *m = user;
    uint8_t *bytes = m->first + offset * (int64_t)m->size;
    if (bytes[0]) {
        fprintf(stderr, "random_step: the output's strides make elements overlap\n");
        exit(1);
    }
    memset(bytes, 1, m->size);
}

void random_output(random_maker *maker)
{
    random_step *r = maker->made;
    make_memory(&r->out, &r->step.out, 192, random_shift(maker));
    r->is_element = random_alloc(r->out.size);
    memset(r->is_element, 0, r->out.size);
    each_element(
        &r->step.out, mark_one,
        &(marker){ r->is_element + r->out.first, hsched_dtype_size(r->step.out.dtype) });
}

/* ---- Making ---- */

static void *first_element(const random_memory *memory)
{
    return memory->block ? memory->block + memory->first : NULL;
}

/* The result of the reference, out of the way of inputs even where memory is to be
 * shared. */
static void compute_expected(random_step *r)
{
    const void *inputs[HSCHED_STEP_MAX_INPUTS] = { NULL };
    for (uint32_t i = 0; i < r->step.input_count; i++)
        inputs[i] = first_element(&r->in[i]);
    if (r->step.out_aliases >= 0)
        inputs[r->step.out_aliases] = first_element(&r->out);
    r->expected = random_alloc(r->out.size);
    memcpy(r->expected, r->out.pristine, r->out.size);
    if (hsi_ref_run(&r->step, inputs, r->expected + r->out.first) != HSCHED_OK) {
        fprintf(stderr, "random_step: %s: %s\n", r->text, hsched_error_detail());
        exit(1);
    }
}

static size_t describe_operand(char *text, size_t size, const char *name,
                               const hsched_operand *op)
{
    size_t n = (size_t)snprintf(text, size, " %s", name);
    for (uint32_t d = 0; d < op->rank && n < size; d++)
        n += (size_t)snprintf(text + n, size - n, "%c%lld", d ? ',' : '[',
                              (long long)op->dims[d]);
    for (uint32_t d = 0; d < op->rank && n < size; d++)
        n += (size_t)snprintf(text + n, size - n, "%c%lld", d ? ',' : '/',
                              (long long)op->strides[d]);
    if (n < size)
        n += (size_t)snprintf(text + n, size - n, op->rank ? "]" : "[]");
    return n < size ? n : size;
}

static void describe(const random_maker *m, uint64_t seed)
{
    static const char *const names[] = { "x",   "in1", "in2", "in3",
                                         "in4", "in5", "in6", "in7" };
    random_step *r = m->made;
    const hsched_step *s = &r->step;
    const size_t size = sizeof r->text;
    size_t n = (size_t)snprintf(r->text, size, "HSCHED_TEST_SEED=%llu kind %d step %u:",
                                (unsigned long long)seed, (int)s->kind, m->index);
    for (uint32_t i = 0; i < s->input_count && n < size; i++)
        if (s->in[i].dtype != HSCHED_DTYPE_NONE)
            n += describe_operand(r->text + n, size - n, names[i], &s->in[i]);
    if (n < size)
        n += describe_operand(r->text + n, size - n, "out", &s->out);
    if (n < size)
        snprintf(r->text + n, size - n, " %s dtype %s act %s(%g,%g) aliases %d parts %u",
                 m->note, hsched_dtype_name(s->out.dtype),
                 hsched_activation_name(s->act.kind), s->act.a, s->act.b, s->out_aliases,
                 s->parts);
}

void random_step_make(random_step *made, hsched_step_kind kind, uint64_t seed,
                      uint32_t index)
{
    memset(made, 0, sizeof *made);
    random_maker maker = { .made = made, .index = index };
    maker.rng = seed ^ ((uint64_t)kind << 32 | index) * UINT64_C(0xd1342543de82ef95);
    random_next(&maker.rng);
    made->step.struct_size = sizeof made->step;
    made->step.kind = kind;
    made->step.name = "random";
    made->step.out_aliases = -1;
    made->step.parts = (uint32_t)random_range(&maker.rng, 1, 5);
    random_kind_make(&maker, kind);
    describe(&maker, seed);
    for (uint32_t i = 0; i < made->step.input_count; i++)
        if (made->in[i].block)
            keep_pristine(&made->in[i]);
    keep_pristine(&made->out);
    compute_expected(made);
}

static void drop_lower_half(void *user, int64_t offset)
{
    float *value = (float *)user + offset;
    uint32_t bits;
    memcpy(&bits, value, sizeof bits);
    bits &= 0xffff0000;
    memcpy(value, &bits, sizeof bits);
}

void random_step_round(random_step *made)
{
    for (uint32_t i = 0; i < 2; i++) {
        random_memory *memory = &made->in[i];
        if (!memory->block || made->step.in[i].dtype != HSCHED_FLOAT32)
            continue;
        each_element(&made->step.in[i], drop_lower_half, first_element(memory));
        made->step.in[i].levels = (hsched_levels){ 0 }; /* it lies on none any more */
        memcpy(memory->pristine, memory->block, memory->size);
    }
    free(made->expected);
    compute_expected(made);
}

static void free_memory(random_memory *memory)
{
    free(memory->block);
    free(memory->pristine);
}

void random_step_free(random_step *made)
{
    for (uint32_t i = 0; i < HSCHED_STEP_MAX_INPUTS; i++)
        free_memory(&made->in[i]);
    free_memory(&made->out);
    free(made->is_element);
    free(made->expected);
}

void random_step_operands(const random_step *made, void **operands)
{
    const hsched_step *s = &made->step;
    for (uint32_t i = 0; i < s->input_count; i++) {
        operands[i] = first_element(s->out_aliases == (int)i ? &made->out : &made->in[i]);
        /* Constants are known by their place: weights and bias, scale and shift. */
        if (i > 0 && i < 3 &&
            (s->kind == HSCHED_STEP_CONV2D || s->kind == HSCHED_STEP_FC ||
             s->kind == HSCHED_STEP_SCALE))
            operands[i] = NULL;
        if (s->kind == HSCHED_STEP_RECURRENT && i > 0 && i < 4)
            operands[i] = NULL;
        if (s->kind == HSCHED_STEP_SEPARABLE_CONV2D && i > 0 && i < 5)
            operands[i] = NULL;
    }
    operands[s->input_count] = first_element(&made->out);
}

void random_step_reset(random_step *made)
{
    memcpy(made->out.block, made->out.pristine, made->out.size);
}

/* ---- Judging ---- */

typedef struct judge {
    const random_step *made;
    double largest; /* of |r|, for comparisons by norm */
    double worst;   /* of |y - r| / scale, and where; infinite for a NaN */
    int64_t worst_at;
} judge;

/* An element of out, which is float32 or float64. */
static double real_at(const random_step *made, const uint8_t *block, int64_t offset)
{
    const uint8_t *first = block + made->out.first;
    float narrow;
    double wide;
    if (made->step.out.dtype == HSCHED_FLOAT64) {
        memcpy(&wide, first + offset * (int64_t)sizeof wide, sizeof wide);
        return wide;
    }
    memcpy(&narrow, first + offset * (int64_t)sizeof narrow, sizeof narrow);
    return (double)narrow;
}

static void find_largest(void *user, int64_t offset)
{
    judge *j = user;
    j->largest = fmax(j->largest, fabs(real_at(j->made, j->made->expected, offset)));
}

static void judge_one(void *user, int64_t offset)
{
    judge *j = user;
    double r = real_at(j->made, j->made->expected, offset);
    double y = real_at(j->made, j->made->out.block, offset);
    double scale = j->made->compare == RANDOM_COMPARE_ELEMENTS ? fmax(1, fabs(r))
                   : j->made->compare == RANDOM_COMPARE_NORM   ? fmax(1, j->largest)
                                                               : j->largest;
    double error = fabs(y - r) / scale;
    if (isnan(error))
        error = INFINITY;
    if (error > j->worst) {
        j->worst = error;
        j->worst_at = offset;
    }
}

const char *random_step_check(const random_step *made, char *why, size_t size)
{
    for (uint32_t i = 0; i < made->step.input_count; i++)
        if (made->in[i].block &&
            memcmp(made->in[i].block, made->in[i].pristine, made->in[i].size) != 0) {
            snprintf(why, size, "input %u was written to", i);
            return why;
        }
    for (size_t i = 0; i < made->out.size; i++) {
        const int bits = made->compare == RANDOM_COMPARE_BITS;
        if ((bits || !made->is_element[i]) && made->out.block[i] != made->expected[i]) {
            snprintf(why, size, "byte %lld of out is 0x%02x, not 0x%02x (%s)",
                     (long long)i - (long long)made->out.first, made->out.block[i],
                     made->expected[i],
                     made->is_element[i] ? "of an element" : "it belongs to no element");
            return why;
        }
    }
    if (made->compare == RANDOM_COMPARE_BITS)
        return NULL;
    judge j = { .made = made };
    each_element(&made->step.out, find_largest, &j);
    each_element(&made->step.out, judge_one, &j);
    const double usual = made->step.out.dtype == HSCHED_FLOAT64 ? RANDOM_STEP_TOLERANCE_64
                                                                : RANDOM_STEP_TOLERANCE;
    if (j.worst <= (made->tolerance > 0 ? made->tolerance : usual))
        return NULL;
    snprintf(why, size, "offset %lld is %.17g, not %.17g (error %.3g, norm %.3g)",
             (long long)j.worst_at, real_at(made, made->out.block, j.worst_at),
             real_at(made, made->expected, j.worst_at), j.worst, j.largest);
    return why;
}
