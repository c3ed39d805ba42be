/*
 * What the background programs of gpu_load compute, as plain loops for one CPU core. The
 * inputs are made here for both sides, the same on every machine, and gpu_load --check
 * compares the GPU's results with those of these loops.
 *
 * Matrices are row-major. Nothing is allocated unless the text says so.
 */
#ifndef TESTS_BENCH_LOADS_REFERENCE_H
#define TESTS_BENCH_LOADS_REFERENCE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Numbers and comparisons ---------------------------------------------- */

/* The next of a seeded sequence: 32 random bits; a number in [0, 1). */
uint32_t load_random(uint64_t *state);
float load_uniform(uint64_t *state);

/* The first place where two results differ, or `count`. Floats may differ by
 * `absolute` + `relative` * |expected|; what is not a number always differs. */
size_t load_first_wrong(const float *result, const float *expected, size_t count,
                        float absolute, float relative);
size_t load_first_unequal(const int *result, const int *expected, size_t count);

/* ---- stream: a[i] = b[i] + scale * c[i], all [count] ----------------------- */

/* Small whole numbers: with a whole scale every result is exact. */
void load_triad_inputs(float *b, float *c, size_t count);
void load_triad(float *a, const float *b, const float *c, float scale, size_t count);

/* ---- walk: a breadth-first walk over a directed graph ---------------------- */

/* In CSR form: from vertex v, edges lead to columns[offsets[v]] up to, not including,
 * columns[offsets[v + 1]]. */
typedef struct load_graph {
    int vertices, edges;
    int *offsets; /* [vertices + 1] */
    int *columns; /* [edges] */
} load_graph;

#define LOAD_MOST_DEGREE 15
#define LOAD_UNSEEN      (-1)

/* Every vertex has 1 to LOAD_MOST_DEGREE edges, to any vertices. Allocates: 1, or 0 if
 * there is no memory; `graph` is then empty. Destroy takes an empty graph, too. */
int load_graph_create(int vertices, load_graph *graph);
void load_graph_destroy(load_graph *graph);

/* distance [vertices]: edges on the shortest way from `source`, LOAD_UNSEEN where there is
 * none. Allocates for its own use: 1, or 0 if there is no memory. */
int load_walk(const load_graph *graph, int source, int *distance);

/* ---- stencil: heat in a square plate with insulated borders ---------------- */

/* The share of a difference that flows to a neighbour in one step; above 1/4 the
 * temperatures would begin to swing. */
#define LOAD_HEAT_RATE 0.2f

/* heat [side][side], in 0 to 100. */
void load_heat_inputs(float *heat, int side);
/* One step; a neighbour beyond the border is as warm as the cell itself, so nothing flows. */
void load_heat_step(const float *from, float *to, int side);

/* ---- eliminate: Gaussian elimination without pivots ------------------------ */

/* matrix [side][side]: diagonally dominant, so that no pivot is small. */
void load_matrix_inputs(float *matrix, int side);
/* In place: U on and above the diagonal, the multipliers of L below; L's diagonal is 1. */
void load_eliminate(float *matrix, int side);

/* ---- bodies: masses that attract each other -------------------------------- */

/* Added to squared distances, so that close bodies do not fly apart. */
#define LOAD_SOFTENING 0.01f
#define LOAD_TIME_STEP 0.0625f

/* positions [count][4]: x, y, z and mass; velocities [count][4]: x, y, z and 0. The masses
 * add up to about 1. */
void load_bodies_inputs(float *positions, float *velocities, int count);
/* One step: velocities change by the pull of all bodies on each, positions by the new
 * velocities. Sums are taken in double. */
void load_bodies_step(const float *positions, const float *velocities,
                      float *new_positions, float *new_velocities, int count);

/* ---- paths: the best alignment of two sequences ---------------------------- */

#define LOAD_MATCH    1
#define LOAD_MISMATCH (-1)
#define LOAD_GAP      (-1)

/* letters [count], each one of "ACGT". */
void load_letters(uint8_t *letters, int count, uint64_t seed);
/* score [rows + 1][columns + 1]: score[i][j] is that of the best alignment of the first i
 * letters of a [rows] with the first j of b [columns]. */
void load_align(const uint8_t *a, int rows, const uint8_t *b, int columns, int *score);

#ifdef __cplusplus
}
#endif

#endif
