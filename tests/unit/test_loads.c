/* What gpu_load --check compares the GPU's results with: the plain loops of tests/bench/loads,
 * held against cases that are known from elsewhere. */
#include "common/support.h"

#include <math.h>

#include "bench/loads/reference.h"

enum {
    SIDE = 37,
    BODIES = 60
};

/* ---- Numbers and comparisons ---------------------------------------------- */

static void test_numbers_are_seeded_and_in_range(void **state)
{
    (void)state;
    uint64_t seed = 7, same = 7;
    double sum = 0;
    for (int i = 0; i < 10000; i++) {
        const float number = load_uniform(&seed);
        assert_true(number >= 0 && number < 1);
        assert_true(number == load_uniform(&same));
        sum += (double)number;
    }
    assert_true(fabs(sum / 10000 - 0.5) < 0.02);
}

static void test_comparisons_find_the_first_difference(void **state)
{
    (void)state;
    const float expected[] = { 1, -100, 0, 5 };
    const float close[] = { 1.01f, -101, 0.01f, 5 };
    const float far[] = { 1, -100, 0.03f, 7 };
    const float odd[] = { 1, NAN, 0, 5 };
    assert_int_equal(load_first_wrong(close, expected, 4, 0.02f, 0.01f), 4);
    assert_int_equal(load_first_wrong(far, expected, 4, 0.02f, 0.01f), 2);
    assert_int_equal(load_first_wrong(odd, expected, 4, 0.02f, 0.01f), 1);
    const int counted[] = { 3, 4, 5 }, other[] = { 3, 4, 6 };
    assert_int_equal(load_first_unequal(counted, counted, 3), 3);
    assert_int_equal(load_first_unequal(counted, other, 3), 2);
}

/* ---- The kinds ------------------------------------------------------------ */

static void test_triad_is_exact(void **state)
{
    (void)state;
    static float a[3000], b[3000], c[3000];
    load_triad_inputs(b, c, 3000);
    load_triad(a, b, c, 3, 3000);
    for (int i = 0; i < 3000; i++)
        assert_true(a[i] == (float)(i % 1024 + 3 * (i % 1000)));
}

static void test_walk_on_a_graph_made_by_hand(void **state)
{
    (void)state;
    /* 0 -> 1, 2; 1 -> 3; 2 -> 3, 4; 3 -> 0, 5; 4 -> 4; 5 has none; 6 -> 0 is never reached. */
    int offsets[] = { 0, 2, 3, 5, 7, 8, 8, 9 };
    int columns[] = { 1, 2, 3, 3, 4, 0, 5, 4, 0 };
    const load_graph graph = { 7, 9, offsets, columns };
    const int from_0[] = { 0, 1, 1, 2, 2, 3, LOAD_UNSEEN };
    const int from_3[] = { 1, 2, 2, 0, 3, 1, LOAD_UNSEEN };
    int distance[7];
    assert_true(load_walk(&graph, 0, distance));
    assert_memory_equal(distance, from_0, sizeof from_0);
    assert_true(load_walk(&graph, 3, distance));
    assert_memory_equal(distance, from_3, sizeof from_3);
}

static void test_random_graphs_are_graphs(void **state)
{
    (void)state;
    load_graph graph;
    assert_true(load_graph_create(1000, &graph));
    assert_int_equal(graph.offsets[0], 0);
    assert_int_equal(graph.offsets[1000], graph.edges);
    for (int v = 0; v < 1000; v++) {
        const int degree = graph.offsets[v + 1] - graph.offsets[v];
        assert_in_range(degree, 1, LOAD_MOST_DEGREE);
    }
    for (int e = 0; e < graph.edges; e++)
        assert_in_range(graph.columns[e], 0, 999);
    /* No edge leads further than one step on, and each vertex seen is one step behind another. */
    int distance[1000], reached_by[1000] = { 0 };
    assert_true(load_walk(&graph, 0, distance));
    for (int v = 0; v < 1000; v++)
        for (int e = graph.offsets[v]; e < graph.offsets[v + 1]; e++) {
            const int next = graph.columns[e];
            if (distance[v] == LOAD_UNSEEN)
                continue;
            assert_in_range(distance[next], 0, distance[v] + 1);
            reached_by[next] |= distance[next] == distance[v] + 1;
        }
    for (int v = 1; v < 1000; v++)
        assert_int_equal(reached_by[v], distance[v] != LOAD_UNSEEN);
    load_graph_destroy(&graph);
    load_graph_destroy(&graph);
}

static double sum_of(const float *values, int count)
{
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += (double)values[i];
    return sum;
}

static void test_heat_is_conserved_and_evens_out(void **state)
{
    (void)state;
    static float heat[2][SIDE * SIDE];
    load_heat_inputs(heat[0], SIDE);
    const double before = sum_of(heat[0], SIDE * SIDE), mean = before / (SIDE * SIDE);
    for (int step = 0; step < 12000; step++)
        load_heat_step(heat[step & 1], heat[~step & 1], SIDE);
    assert_true(fabs(sum_of(heat[0], SIDE * SIDE) / before - 1) < 1e-4);
    for (int i = 0; i < SIDE * SIDE; i++)
        assert_true(fabs((double)heat[0][i] - mean) < 0.05);
}

static void test_heat_flows_to_four_neighbours(void **state)
{
    (void)state;
    const float corner[] = { 10, 0, 0, 0, 0, 0, 0, 0, 0 };
    const float middle[] = { 0, 0, 0, 0, 10, 0, 0, 0, 0 };
    const float after_corner[] = { 6, 2, 0, 2, 0, 0, 0, 0, 0 };
    const float after_middle[] = { 0, 2, 0, 2, 2, 2, 0, 2, 0 };
    float to[9], one = 7, same = 0;
    load_heat_step(corner, to, 3);
    assert_int_equal(load_first_wrong(to, after_corner, 9, 1e-6f, 0), 9);
    load_heat_step(middle, to, 3);
    assert_int_equal(load_first_wrong(to, after_middle, 9, 1e-6f, 0), 9);
    load_heat_step(&one, &same, 1);
    assert_true(same == 7);
}

static void test_elimination_gives_factors(void **state)
{
    (void)state;
    static float matrix[SIDE * SIDE], factors[SIDE * SIDE];
    load_matrix_inputs(matrix, SIDE);
    memcpy(factors, matrix, sizeof factors);
    load_eliminate(factors, SIDE);
    for (int i = 0; i < SIDE; i++) {
        double others = 0;
        for (int j = 0; j < SIDE; j++) {
            double product =
                i <= j ? (double)factors[i * SIDE + j] : 0; /* L's diagonal is 1 */
            for (int k = 0; k < i && k <= j; k++)
                product += (double)factors[i * SIDE + k] * (double)factors[k * SIDE + j];
            assert_true(fabs(product - (double)matrix[i * SIDE + j]) < 1e-6 * SIDE);
            others += i == j ? 0 : fabs((double)matrix[i * SIDE + j]);
        }
        assert_true((double)matrix[i * SIDE + i] > others);
    }
    const float known[] = { 4, 1, 1, 8, 5, 3, 2, 2, 6 };
    const float split[] = { 4, 1, 1, 2, 3, 1, 0.5f, 0.5f, 5 };
    float three[9];
    memcpy(three, known, sizeof three);
    load_eliminate(three, 3);
    assert_memory_equal(three, split, sizeof split);
}

static void test_two_bodies_meet(void **state)
{
    (void)state;
    /* Two apart, along x; the heavier one pulls as much more as it weighs more. */
    const float positions[] = { -1, 0, 0, 3, 1, 0, 0, 1 };
    const float velocities[] = { 0, 0.5f, 0, 0, 0, 0.5f, 0, 0 };
    const double by = 2 / pow(4 + (double)LOAD_SOFTENING, 1.5);
    const float pull = (float)(by * (double)LOAD_TIME_STEP);
    const float after[] = { pull, 0.5f, 0, 0, -3 * pull, 0.5f, 0, 0 };
    float to[8], speed[8];
    load_bodies_step(positions, velocities, to, speed, 2);
    assert_int_equal(load_first_wrong(speed, after, 8, 1e-7f, 1e-6f), 8);
    for (int i = 0; i < 8; i++)
        assert_true(fabsf(to[i] - positions[i] - LOAD_TIME_STEP * speed[i]) < 1e-6f);
}

/* That of each axis, and the mass. */
static void momentum_of(const float *positions, const float *velocities, double *momentum)
{
    memset(momentum, 0, 4 * sizeof *momentum);
    for (int i = 0; i < BODIES; i++) {
        const double mass = (double)positions[4 * i + 3];
        for (int axis = 0; axis < 3; axis++)
            momentum[axis] += mass * (double)velocities[4 * i + axis];
        momentum[3] += mass;
    }
}

static void test_momentum_is_conserved(void **state)
{
    (void)state;
    static float positions[2][4 * BODIES], velocities[2][4 * BODIES];
    double before[4], after[4];
    load_bodies_inputs(positions[0], velocities[0], BODIES);
    momentum_of(positions[0], velocities[0], before);
    assert_true(before[3] > 0.8 && before[3] < 1.2);
    for (int step = 0; step < 50; step++)
        load_bodies_step(positions[step & 1], velocities[step & 1], positions[~step & 1],
                         velocities[~step & 1], BODIES);
    momentum_of(positions[0], velocities[0], after);
    for (int axis = 0; axis < 4; axis++)
        assert_true(fabs(after[axis] - before[axis]) < 1e-5);
    /* They do move. */
    assert_true(fabsf(velocities[0][0] - velocities[1][0]) > 1e-6f);
}

static void test_alignment_of_known_words(void **state)
{
    (void)state;
    /* The textbook's table for these two, with 1 for a match and -1 for all else. */
    const int table[8][8] = {
        { 0, -1, -2, -3, -4, -5, -6, -7 }, { -1, 1, 0, -1, -2, -3, -4, -5 },
        { -2, 0, 0, 1, 0, -1, -2, -3 },    { -3, -1, -1, 0, 2, 1, 0, -1 },
        { -4, -2, -2, -1, 1, 1, 0, -1 },   { -5, -3, -3, -1, 0, 0, 0, -1 },
        { -6, -4, -2, -2, -1, -1, 1, 0 },  { -7, -5, -3, -1, -2, -2, 0, 0 },
    };
    int score[8][8];
    load_align((const uint8_t *)"GATTACA", 7, (const uint8_t *)"GCATGCG", 7, score[0]);
    assert_memory_equal(score, table, sizeof table);
}

static void test_alignment_of_unequal_lengths(void **state)
{
    (void)state;
    int score[6 * 3];
    load_align((const uint8_t *)"ACGTA", 5, (const uint8_t *)"CG", 2, score);
    assert_int_equal(score[5 * 3 + 2], 2 * LOAD_MATCH + 3 * LOAD_GAP);
    uint8_t letters[500];
    static int same[501 * 501];
    load_letters(letters, 500, 9);
    for (int i = 0; i < 500; i++)
        assert_non_null(memchr("ACGT", letters[i], 4));
    load_align(letters, 500, letters, 500, same);
    assert_int_equal(same[501 * 501 - 1], 500 * LOAD_MATCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_are_seeded_and_in_range),
        cmocka_unit_test(test_comparisons_find_the_first_difference),
        cmocka_unit_test(test_triad_is_exact),
        cmocka_unit_test(test_walk_on_a_graph_made_by_hand),
        cmocka_unit_test(test_random_graphs_are_graphs),
        cmocka_unit_test(test_heat_is_conserved_and_evens_out),
        cmocka_unit_test(test_heat_flows_to_four_neighbours),
        cmocka_unit_test(test_elimination_gives_factors),
        cmocka_unit_test(test_two_bodies_meet),
        cmocka_unit_test(test_momentum_is_conserved),
        cmocka_unit_test(test_alignment_of_known_words),
        cmocka_unit_test(test_alignment_of_unequal_lengths),
    };
    return cmocka_run_group_tests_name("loads", tests, NULL, NULL);
}
