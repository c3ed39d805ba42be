/*
 * The entry and exit of a batch: tensors of several members between their own memory and a slot,
 * in every type and number format, with any strides; and camera frames, which become images on
 * the way in. Nothing else in the memory around them may change. The environment:
 * op_session.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/cuda/op.h"
#include "backend/random_maker.h"
#include "gpu/op_steps.h"
#include "gpu/op_trial.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MAX_MEMBERS  6

/* ---- Tensors of any kind ----------------------------------------------------- */

/* Steps to the next index of a non-empty shape; 0 after the last. */
static int next_index(const hsched_operand *op, int64_t *index)
{
    for (uint32_t d = op->rank; d-- > 0;) {
        if (++index[d] < op->dims[d])
            return 1;
        index[d] = 0;
    }
    return 0;
}

static int64_t offset_of(const hsched_operand *op, const int64_t *index)
{
    int64_t offset = 0;
    for (uint32_t d = 0; d < op->rank; d++)
        offset += index[d] * op->strides[d];
    return offset;
}

/* Elements in front of the first one, and from it to the last. */
static void extent(const hsched_operand *op, int64_t *before, int64_t *after)
{
    *before = 0;
    *after = 1;
    for (uint32_t d = 0; d < op->rank; d++) {
        const int64_t reach = (op->dims[d] - 1) * op->strides[d];
        *before -= reach < 0 ? reach : 0;
        *after += reach > 0 ? reach : 0;
    }
}

typedef struct batch {
    hsi_cuda_transfer t;
    op_memory *outside;                               /* where members and table lie */
    size_t member_at[MAX_MEMBERS], table_at, slot_at; /* first elements */
    size_t member_size, slot_size;                    /* of an element */
    char text[512];
} batch;

static void random_batch_shape(random_maker *m, batch *b)
{
    static const hsched_dtype others[] = { HSCHED_UINT8, HSCHED_INT64, HSCHED_INT32,
                                           HSCHED_FLOAT16, HSCHED_FLOAT64 };
    hsi_cuda_transfer *t = &b->t;
    int64_t dims[HSCHED_MAX_DIMS];
    uint32_t rank = (uint32_t)range(m, 0, 5);
    if (chance(m, 60)) { /* an image, or what a layer makes of it */
        rank = 4;
        do {
            dims[0] = 1;
            dims[1] = PICK(m, 1, 2, 3, 3, 3, 4, 5, 8, 16, 33, 64, 130);
            dims[2] = range(m, 1, 40);
            dims[3] = range(m, 1, 60);
        } while (dims[1] * dims[2] * dims[3] > 50000);
    } else {
        random_dims(m, rank, 6000, dims);
    }
    const hsched_dtype dtype =
        chance(m, 75) ? HSCHED_FLOAT32 : others[range(m, 0, COUNT(others) - 1)];
    t->device = session.device;
    t->type = (hsi_cuda_type)range(m, 0, session.device->capability >= 80 ? 2 : 1);
    t->members = (uint32_t)range(m, 1, MAX_MEMBERS);
    t->to_slot = chance(m, 50);
    random_set_shape(&t->member, dtype, rank, dims);
    random_set_shape(&t->slot, dtype, rank, dims);
    if (chance(m, 60))
        random_set_dense(&t->member, NULL);
    else
        random_set_any_strides(m, &t->member, t->to_slot);
    if (rank == 4 && chance(m, 60))
        random_set_channels_last(m, &t->slot);
    else
        random_set_any_strides(m, &t->slot, 0);
    b->member_size = hsched_dtype_size(dtype);
    b->slot_size = hsi_cuda_element_size(&t->slot, t->type);
}

static size_t random_residue(random_maker *m, size_t element)
{
    return chance(m, 60) ? 0 : (size_t)range(m, 0, 15) * element;
}

/* Makes the batch's memory, all but the elements. */
static void place_batch(random_maker *m, batch *b)
{
    int64_t before, after;
    hsi_cuda_transfer *t = &b->t;
    op_memory_clear(&session.bench.memory);
    op_memory_clear(&session.bench.mapped);
    b->outside = chance(m, 50) ? &session.bench.mapped : &session.bench.memory;
    extent(&t->slot, &before, &after);
    t->slot_stride = after + (chance(m, 50) ? 0 : range(m, 1, 70));
    const size_t slots = (size_t)t->slot_stride * (t->members - 1) + (size_t)after;
    b->slot_at = op_memory_place(&session.bench.memory, slots * b->slot_size, 0,
                                 random_residue(m, b->slot_size));
    extent(&t->member, &before, &after);
    for (uint32_t i = 0; i < t->members; i++) {
        const size_t first = (size_t)before * b->member_size;
        b->member_at[i] =
            first + op_memory_place(b->outside, first + (size_t)after * b->member_size,
                                    first, random_residue(m, b->member_size));
    }
    b->table_at = op_memory_place(b->outside, 8 * (size_t)t->members, 0, 8);
    for (uint32_t i = 0; i < t->members; i++) {
        const uint64_t address = b->outside->device + b->member_at[i];
        memcpy(b->outside->image + b->table_at + 8 * i, &address, sizeof address);
    }
}

/* An element's place in a member, and in the slot. */
static uint8_t *in_member(const batch *b, uint8_t *memory, uint32_t i, const int64_t *at)
{
    return memory + (int64_t)b->member_at[i] +
           offset_of(&b->t.member, at) * (int64_t)b->member_size;
}

static uint8_t *in_slot(const batch *b, uint8_t *memory, uint32_t i, const int64_t *at)
{
    return memory + (int64_t)b->slot_at +
           (i * b->t.slot_stride + offset_of(&b->t.slot, at)) * (int64_t)b->slot_size;
}

/* Random elements on the side that is read. */
static void fill_source(random_maker *m, batch *b)
{
    const hsi_cuda_transfer *t = &b->t;
    for (uint32_t i = 0; i < t->members; i++) {
        int64_t at[HSCHED_MAX_DIMS] = { 0 };
        do {
            uint8_t *to = t->to_slot ? in_member(b, b->outside->image, i, at)
                                     : in_slot(b, session.bench.memory.image, i, at);
            if (t->member.dtype == HSCHED_FLOAT32) {
                op_store_float(to, t->to_slot ? HSI_CUDA_F32 : t->type,
                               uniform(m, -3, 3));
            } else {
                const uint64_t bits = random_next(&m->rng);
                memcpy(to, &bits, b->member_size);
            }
        } while (next_index(&t->member, at));
    }
}

/* What both memories hold afterwards. */
static void expect_batch(batch *b)
{
    const hsi_cuda_transfer *t = &b->t;
    memcpy(session.bench.memory.expected, session.bench.memory.image,
           session.bench.memory.used);
    memcpy(session.bench.mapped.expected, session.bench.mapped.image,
           session.bench.mapped.used);
    for (uint32_t i = 0; i < t->members; i++) {
        int64_t at[HSCHED_MAX_DIMS] = { 0 };
        do {
            uint8_t *member = in_member(b, b->outside->expected, i, at),
                    *slot = in_slot(b, session.bench.memory.expected, i, at);
            if (t->member.dtype != HSCHED_FLOAT32)
                memcpy(t->to_slot ? slot : member, t->to_slot ? member : slot,
                       b->member_size);
            else if (t->to_slot)
                op_store_float(slot, t->type, op_load_float(member, HSI_CUDA_F32));
            else
                op_store_float(member, HSI_CUDA_F32, op_load_float(slot, t->type));
        } while (next_index(&t->member, at));
    }
}

static size_t describe(char *text, size_t size, const char *name,
                       const hsched_operand *op)
{
    size_t n = (size_t)snprintf(text, size, " %s", name);
    for (uint32_t d = 0; d < op->rank && n < size; d++)
        n += (size_t)snprintf(text + n, size - n, "%c%lld/%lld", d ? ',' : '[',
                              (long long)op->dims[d], (long long)op->strides[d]);
    return n < size ? n : size;
}

static void describe_batch(batch *b, uint32_t index)
{
    const hsi_cuda_transfer *t = &b->t;
    const size_t size = sizeof b->text;
    size_t n = (size_t)snprintf(
        b->text, size, "HSCHED_TEST_SEED=%llu transfer %u: %s %s as %s, %u members (%s),",
        (unsigned long long)session.seed, index, t->to_slot ? "entry" : "exit",
        hsched_dtype_name(t->member.dtype),
        t->type == HSI_CUDA_F32   ? "f32"
        : t->type == HSI_CUDA_F16 ? "f16"
                                  : "bf16",
        t->members, b->outside->mapped ? "mapped" : "GPU memory");
    n += describe(b->text + n, size - n, "member", &t->member);
    n += describe(b->text + n, size - n, "slot", &t->slot);
    if (n < size)
        snprintf(b->text + n, size - n, " every %lld", (long long)t->slot_stride);
}

static const char *compare_memory(const op_memory *m, char *why, size_t size)
{
    for (size_t i = 0; i < m->used; i++)
        if (m->after[i] != m->expected[i]) {
            snprintf(
                why, size, "byte %zu of %s memory is 0x%02x, not 0x%02x (was 0x%02x)", i,
                m->mapped ? "mapped" : "GPU", m->after[i], m->expected[i], m->image[i]);
            return why;
        }
    return NULL;
}

static void run_batch(const batch *b, const hsi_cuda_op *op)
{
    const hsi_cuda_call call = { .in = { b->outside->device + b->table_at },
                                 .out = session.bench.memory.device + b->slot_at };
    char why[256];
    for (int as_graph = 0; as_graph < 2; as_graph++) {
        const char *wrong;
        const hsched_status status = op_run(&session.bench, op, &call, as_graph, &wrong);
        op_session_note(status);
        if (status != HSCHED_OK)
            wrong = wrong ? wrong : hsched_error_detail();
        else if (compare_memory(&session.bench.memory, why, sizeof why) ||
                 compare_memory(&session.bench.mapped, why, sizeof why))
            wrong = why;
        if (!wrong)
            continue;
        session.failures++;
        print_error("%s: %s\n    %s\n", op->name, wrong, b->text);
        return;
    }
}

static void test_tensors(void **state)
{
    (void)state;
    op_session_begin();
    for (uint32_t k = 0; k < session.steps * 4 && op_session_goes_on(); k++) {
        random_maker m = { .rng = session.seed * 31 + k };
        batch b = { .outside = NULL };
        hsi_cuda_op *op = NULL;
        random_batch_shape(&m, &b);
        place_batch(&m, &b);
        fill_source(&m, &b);
        expect_batch(&b);
        describe_batch(&b, k);
        const hsched_status status = hsi_cuda_make_transfer(&b.t, &op);
        op_session_note(status);
        if (status != HSCHED_OK) {
            session.failures++;
            print_error("not made: %s\n    %s\n", hsched_error_detail(), b.text);
            continue;
        }
        op_session_count(0, op->name);
        run_batch(&b, op);
        op->destroy(op);
    }
    op_session_end();
}

/* ---- Camera frames ----------------------------------------------------------- */

/* An IMAGE step of `members` times `each` frames; in[0] is dense. */
static void make_frames(random_maker *m, random_step *made, uint32_t members)
{
    hsched_step *s = &made->step;
    const int64_t n = members * range(m, 1, 2), h = range(m, 1, 30), w = range(m, 1, 50),
                  c = range(m, 1, 4);
    memset(made, 0, sizeof *made);
    m->made = made;
    s->struct_size = sizeof *s;
    s->kind = HSCHED_STEP_IMAGE;
    s->name = "frames";
    s->out_aliases = -1;
    s->parts = 1;
    s->input_count = 1;
    random_set_shape(&s->in[0], HSCHED_UINT8, 4, (const int64_t[]){ n, h, w, c });
    random_set_dense(&s->in[0], NULL);
    random_set_shape(&s->out, HSCHED_FLOAT32, 4, (const int64_t[]){ n, c, h, w });
    random_set_any_strides(m, &s->out, 0);
    for (int k = 0; k < 4; k++) {
        s->u.image.mean[k] = uniform(m, 0, 255);
        s->u.image.scale[k] = uniform(m, -2, 2);
    }
    s->u.image.swap_red_blue = c >= 3 && chance(m, 50);
    made->compare = RANDOM_COMPARE_ELEMENTS;
    random_output(m);
    random_input(m, 0, 0, 0);
    op_finish_step(made);
}

/* Members' frames each at a place of its own, and their table. */
static CUdeviceptr place_frames(random_maker *m, const random_step *made,
                                uint32_t members, op_memory *outside)
{
    const int64_t *dims = made->step.in[0].dims;
    const size_t bytes =
        (size_t)(dims[0] * dims[1] * dims[2] * dims[3]) / (size_t)members;
    uint64_t addresses[MAX_MEMBERS];
    for (uint32_t i = 0; i < members; i++) {
        const size_t at = op_memory_place(
            outside, bytes, 0, chance(m, 50) ? 0 : (size_t)PICK(m, 1, 4, 8, 15, 16));
        memcpy(outside->image + at, made->in[0].block + made->in[0].first + i * bytes,
               bytes);
        addresses[i] = outside->device + at;
    }
    const size_t table = op_memory_place(outside, sizeof addresses, 0, 0);
    memcpy(outside->image + table, addresses, 8 * (size_t)members);
    return outside->device + table;
}

static void run_frames(uint32_t index, const op_format *f)
{
    random_maker m = { .rng = session.seed * 37 + index };
    random_step made;
    const uint32_t members = (uint32_t)range(&m, 1, MAX_MEMBERS);
    make_frames(&m, &made, members);
    snprintf(
        made.text, sizeof made.text,
        "HSCHED_TEST_SEED=%llu frames %u: %u members, [%lld,%lld,%lld,%lld], swap %d",
        (unsigned long long)session.seed, index, members,
        (long long)made.step.in[0].dims[0], (long long)made.step.in[0].dims[1],
        (long long)made.step.in[0].dims[2], (long long)made.step.in[0].dims[3],
        made.step.u.image.swap_red_blue);
    op_trial t = { .made = &made, .format = f, .what = "image entry" };
    uint64_t rng = m.rng;
    op_memory_clear(&session.bench.memory);
    op_memory_clear(&session.bench.mapped);
    t.step.device = session.device;
    t.step.step = made.step;
    t.step.type = f->type;
    t.step.alignment[0] = 1;
    t.out_at = op_trial_place(&t, &made.out, HSCHED_FLOAT32, &rng, &t.call.out);
    t.step.out_alignment = op_alignment(t.call.out);
    t.call.in[0] =
        place_frames(&m, &made, members,
                     chance(&m, 50) ? &session.bench.mapped : &session.bench.memory);
    hsi_cuda_op *op = (hsi_cuda_op *)&op;
    const hsched_status status = hsi_cuda_make_image_entry(&t.step, members, &op);
    op_trial_run(&t, "image entry", status, op, 1);
    random_step_free(&made);
}

static void test_frames(void **state)
{
    (void)state;
    op_session_begin();
    for (uint32_t k = 0; k < session.steps && op_session_goes_on(); k++)
        for (size_t f = 1; f < OP_FORMATS; f++)
            if (session.device->capability >= op_formats[f].capability)
                run_frames(k, &op_formats[f]);
    op_session_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(op_session_tell),
    };
    op_session_configure();
    return cmocka_run_group_tests_name("gpu transfers", tests, op_session_open,
                                       op_session_close);
}
