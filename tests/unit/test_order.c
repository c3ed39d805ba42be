/* Which launches wait for which: extents, and random launches against the closure of conflicts. */
#include "common/support.h"

#include "backend/backend.h"
#include "backend/cuda/host.h"
#include "backend/cuda/order.h"
#include "base/alloc.h"

const hsched_backend_host *hsi_cuda_host = &hsi_backend_host;

enum {
    LAUNCHES = 150,
    ROUNDS = 300
};

static uint64_t random_state;

static uint32_t below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) * n >> 31);
}

/* ---- Extents -------------------------------------------------------------- */

/* NHWC in memory, as a slice of `pitch` channels. */
static hsched_operand image(int64_t channels, int64_t height, int64_t width,
                            int64_t pitch)
{
    return (
        hsched_operand){ .dtype = HSCHED_FLOAT32,
                         .rank = 4,
                         .dims = { 1, channels, height, width },
                         .strides = { height * width * pitch, 1, width * pitch, pitch } };
}

static int overlap(const hsched_operand *a, size_t a_offset, const hsched_operand *b,
                   size_t b_offset)
{
    const hsi_cuda_extent x = hsi_cuda_extent_of(a, 4, a_offset * 4),
                          y = hsi_cuda_extent_of(b, 4, b_offset * 4);
    const int result = hsi_cuda_extents_overlap(&x, &y);
    assert_int_equal(result, hsi_cuda_extents_overlap(&y, &x));
    return result;
}

static void test_extents(void **state)
{
    (void)state;
    const hsched_operand whole = image(16, 7, 5, 16), half = image(8, 7, 5, 16),
                         other = image(8, 7, 5, 24), lines = image(8, 3, 5, 16);
    const size_t size = 16 * 7 * 5;
    assert_true(overlap(&whole, 0, &whole, 0));
    assert_false(overlap(&whole, 0, &whole, size));
    assert_true(overlap(&whole, 0, &whole, size - 1));
    assert_false(overlap(&half, 0, &half, 8)); /* two slices of one tensor */
    assert_true(overlap(&half, 0, &half, 7));
    assert_true(overlap(&half, 0, &half, 16 * 3));
    assert_false(overlap(&half, 0, &half, 16 * 3 + 8));
    assert_true(overlap(&half, 8, &whole, 0));
    assert_true(overlap(&half, 0, &other, 8)); /* other pitches: not looked into */
    assert_false(overlap(&lines, 16 * 5 * 4 + 8, &half, 0));
    assert_true(overlap(&lines, 16 * 5 * 4, &half, 0));
    /* A slice that crosses a pixel's border in the memory's own terms. */
    assert_true(overlap(&half, 12, &half, 3));
    assert_false(overlap(&half, 12, &half, 4));
    /* Backwards in memory; a vector. */
    const hsched_operand back = {
        .dtype = HSCHED_FLOAT32, .rank = 1, .dims = { 10 }, .strides = { -1 }
    };
    const hsched_operand ahead = {
        .dtype = HSCHED_FLOAT32, .rank = 1, .dims = { 10 }, .strides = { 1 }
    };
    assert_true(overlap(&back, 9, &ahead, 0));
    assert_false(overlap(&back, 9, &ahead, 10));
    assert_true(overlap(&back, 9, &ahead, 9));
}

/* ---- Random launches ------------------------------------------------------ */

/* Slices of few tensors, so that much conflicts and much does not. */
static hsi_cuda_extent random_extent(void)
{
    const size_t pitch = 64, tensor = below(6) * 4096;
    if (below(3) == 0)
        return (hsi_cuda_extent){ .begin = tensor, .end = tensor + 4096 };
    const size_t from = below(7) * 8;
    return (hsi_cuda_extent){ .begin = tensor + from,
                              .end = tensor + 4096,
                              .pitch = pitch,
                              .width = 8 * (1 + below((uint32_t)(64 - from) / 8)) };
}

static int bytes_meet(const hsi_cuda_extent *a, const hsi_cuda_extent *b)
{
    for (size_t at = a->begin; at < a->end; at++) {
        if (a->pitch && (at - a->begin) % a->pitch >= a->width)
            continue;
        if (at >= b->begin && at < b->end &&
            (!b->pitch || (at - b->begin) % b->pitch < b->width))
            return 1;
    }
    return 0;
}

static int must_wait(const hsi_cuda_access *a, const hsi_cuda_access *b)
{
    if (a->exclusive & b->exclusive || bytes_meet(&a->write, &b->write))
        return 1;
    for (uint32_t i = 0; i < a->read_count; i++)
        if (bytes_meet(&a->reads[i], &b->write))
            return 1;
    for (uint32_t i = 0; i < b->read_count; i++)
        if (bytes_meet(&b->reads[i], &a->write))
            return 1;
    return 0;
}

static hsi_cuda_access random_access(void)
{
    hsi_cuda_access access = { .read_count = below(4),
                               .exclusive = below(12) == 0 ? 1 + below(3) : 0 };
    for (uint32_t i = 0; i < access.read_count; i++)
        access.reads[i] = random_extent();
    if (below(10) > 0)
        access.write = random_extent();
    return access;
}

/* Who is before whom must be what follows from conflicts, no more, and no wait superfluous. */
static void check_launch(const hsi_cuda_access *accesses, uint8_t (*before)[LAUNCHES],
                         uint32_t launch, const uint32_t *waits, uint32_t count)
{
    uint8_t expected[LAUNCHES] = { 0 };
    for (uint32_t i = 0; i < launch; i++)
        if (must_wait(&accesses[i], &accesses[launch])) {
            expected[i] = 1;
            for (uint32_t k = 0; k < i; k++)
                expected[k] |= before[i][k];
        }
    for (uint32_t w = 0; w < count; w++) {
        assert_true(waits[w] < launch && (w == 0 || waits[w] < waits[w - 1]));
        assert_true(must_wait(&accesses[waits[w]], &accesses[launch]));
        for (uint32_t other = 0; other < w; other++)
            assert_false(before[waits[other]][waits[w]]);
        before[launch][waits[w]] = 1;
        for (uint32_t k = 0; k < waits[w]; k++)
            before[launch][k] |= before[waits[w]][k];
    }
    assert_memory_equal(before[launch], expected, sizeof expected);
}

static void test_random_launches(void **state)
{
    (void)state;
    static hsi_cuda_access accesses[LAUNCHES];
    static uint8_t before[LAUNCHES][LAUNCHES];
    for (uint32_t round = 0; round < ROUNDS; round++) {
        random_state = round;
        const uint32_t launches = 1 + below(round % 10 == 0 ? LAUNCHES : 20);
        uint32_t waits[LAUNCHES];
        hsi_cuda_order *order = hsi_cuda_order_create(launches);
        assert_non_null(order);
        memset(before, 0, sizeof before);
        for (uint32_t i = 0; i < launches; i++) {
            accesses[i] = random_access();
            const uint32_t count = hsi_cuda_order_add(order, &accesses[i], waits);
            check_launch(accesses, before, i, waits, count);
        }
        hsi_cuda_order_destroy(order);
    }
}

/* Branches between a fork and a join run beside each other. */
static void test_branches(void **state)
{
    (void)state;
    uint32_t waits[8];
    hsi_cuda_order *order = hsi_cuda_order_create(8);
    hsi_cuda_extent at[6];
    for (size_t i = 0; i < 6; i++)
        at[i] = (hsi_cuda_extent){ .begin = i * 256, .end = i * 256 + 256 };
    hsi_cuda_access input = { .write = at[0] };
    hsi_cuda_access left = { .reads = { at[0] }, .read_count = 1, .write = at[1] };
    hsi_cuda_access right = { .reads = { at[0] }, .read_count = 1, .write = at[2] };
    hsi_cuda_access more = { .reads = { at[2] }, .read_count = 1, .write = at[3] };
    hsi_cuda_access join = { .reads = { at[1], at[3] }, .read_count = 2, .write = at[4] };
    hsi_cuda_access again = { .reads = { at[4] }, .read_count = 1, .write = at[0] };
    assert_int_equal(hsi_cuda_order_add(order, &input, waits), 0);
    assert_int_equal(hsi_cuda_order_add(order, &left, waits), 1);
    assert_int_equal(hsi_cuda_order_add(order, &right, waits), 1);
    assert_int_equal(waits[0], 0);
    assert_int_equal(hsi_cuda_order_add(order, &more, waits), 1);
    assert_int_equal(waits[0], 2);
    assert_int_equal(hsi_cuda_order_add(order, &join, waits), 2);
    assert_int_equal(waits[0], 3);
    assert_int_equal(waits[1], 1);
    assert_int_equal(hsi_cuda_order_add(order, &again, waits), 1);
    assert_int_equal(waits[0], 4);
    hsi_cuda_order_destroy(order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_extents),
        cmocka_unit_test(test_random_launches),
        cmocka_unit_test(test_branches),
    };
    return cmocka_run_group_tests_name("order of launches", tests, NULL, NULL);
}
