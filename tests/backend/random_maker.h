/* Inventing random steps: what the files that do it share. */
#ifndef TESTS_BACKEND_RANDOM_MAKER_H
#define TESTS_BACKEND_RANDOM_MAKER_H

#include <stdio.h>
#include <string.h>

#include "backend/random_step.h"

#define RANDOM_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What the values of a step are made of. */
typedef enum random_values {
    RANDOM_VALUES_PLAIN = 0, /* about [-1, 1] */
    RANDOM_VALUES_POSITIVE,
    RANDOM_VALUES_GRID /* multiples of 1/4; biases 1/8 off them */
} random_values;

typedef struct random_maker {
    random_step *made;
    uint64_t rng;
    uint32_t index;
    random_values values;
    char note[256]; /* the attributes in words */
} random_maker;

#define NOTE(m, ...) snprintf((m)->note, sizeof(m)->note, __VA_ARGS__)

static inline int64_t range(random_maker *m, int64_t low, int64_t high)
{
    return random_range(&m->rng, low, high);
}

static inline int chance(random_maker *m, int percent)
{
    return random_chance(&m->rng, percent);
}

static inline float uniform(random_maker *m, double low, double high)
{
    return (float)random_uniform(&m->rng, low, high);
}

static inline int64_t pick(random_maker *m, const int64_t *values, size_t count)
{
    return values[range(m, 0, (int64_t)count - 1)];
}
#define PICK(m, ...)                                                                     \
    pick((m), (const int64_t[]){ __VA_ARGS__ },                                          \
         RANDOM_COUNT(((const int64_t[]){ __VA_ARGS__ })))

/* ---- Memory (random_step.c) ---- */

/* Memory for input i, its elements uniform in [low, high] (bytes are random for other
 * types than float32 and float64); for out, to be called before an input that shares its memory. */
void random_input(random_maker *m, uint32_t i, double low, double high);
void random_output(random_maker *m);

/* The same with values according to m->values; `bound` is the largest plain or positive
 * one. */
typedef enum random_role {
    RANDOM_ROLE_DATA = 0,
    RANDOM_ROLE_WEIGHT,
    RANDOM_ROLE_BIAS
} random_role;
void random_input_role(random_maker *m, uint32_t i, random_role role, double bound);
/* Overwrites input i, of an integer type, with numbers in [low, high], to be called after it
 * was made. */
void random_small_integers(random_maker *m, uint32_t i, int64_t low, int64_t high);
/* Makes some elements of input i, of float32 or float64, not-a-numbers, likewise. */
void random_not_numbers(random_maker *m, uint32_t i, int percent);
/* Makes the elements of input i any bits, likewise. */
void random_any_bits(random_maker *m, uint32_t i);
/* Moves the elements of input 0 to the nearest levels, and says so of it. */
void random_put_on_levels(random_maker *m, hsched_levels levels);
/* Makes each row of input 1 [O, ...], dense, whole numbers times a scale, the largest of them
 * `whole`, to be called before it is read as a constant. */
void random_quantise_weights(random_maker *m, int whole);
/* As a constant. */
void random_constant(random_maker *m, uint32_t i, random_role role, double bound);

/* ---- Shapes and strides (random_operand.c) ---- */

void random_dims(random_maker *m, uint32_t rank, int64_t most_elements, int64_t *dims);
void random_set_shape(hsched_operand *op, hsched_dtype dtype, uint32_t rank,
                      const int64_t *dims);
/* Row-major; `order[k]` is the k-th dimension from the outside, NULL: in order. */
void random_set_dense(hsched_operand *op, const uint32_t *order);
/* Channels-last with a pixel stride of C or, as a slice of a joint tensor, more. */
void random_set_channels_last(random_maker *m, hsched_operand *op);
/* Any order of dimensions, any gaps; inputs also backwards and broadcast. */
void random_set_scattered(random_maker *m, hsched_operand *op, int is_input);
/* For operands of "any strides": often dense or channels-last, which kernels treat
 * specially. */
void random_set_matrices(random_maker *m, hsched_operand *op);
void random_set_any_strides(random_maker *m, hsched_operand *op, int is_input);

/* An activation with parameters; sets m->values to what it needs. */
void random_set_activation(random_maker *m, hsched_activation_kind kind);
/* One behind a step of another kind: often none or ReLU, else any of them in turn. */
void random_fused_activation(random_maker *m);
/* The bound of weights that makes sums over k products of size about one. */
double random_weight_bound(const random_maker *m, int64_t k);

/* ---- Kinds ---- */

/* Fills in one of the kinds: shapes, strides, attributes, memory. random_kinds.c
 */
void random_kind_make(random_maker *m, hsched_step_kind kind);
int random_kind_has_maker(hsched_step_kind kind);

/* random_recurrent.c */
void random_make_recurrent(random_maker *m);

/* random_windows.c */
void random_make_conv2d(random_maker *m);
void random_make_separable_conv2d(random_maker *m);
void random_make_fc(random_maker *m);
void random_make_matmul(random_maker *m);
void random_make_pool2d(random_maker *m);
/* random_resize.c */
void random_make_resize(random_maker *m);

/* random_sample.c */
void random_make_grid_sample(random_maker *m);
void random_make_nms(random_maker *m);
void random_make_roi_align(random_maker *m);
void random_make_pool_index(random_maker *m);
/* random_index.c */
void random_make_tuple_index(random_maker *m);
void random_make_scatter(random_maker *m);
/* random_order.c */
void random_make_arg(random_maker *m);
void random_make_top_k(random_maker *m);
void random_make_cumsum(random_maker *m);
/* random_norm.c */
void random_make_norm(random_maker *m);

/* random_rotary.c */
void random_make_rotary(random_maker *m);

/* random_kinds.c: UNARY of float32 or float64. */
void random_make_unary_of(random_maker *m, hsched_dtype dtype);

/* random_elements.c; the last two are UNARY and BINARY of other types than float32. */
void random_make_cast(random_maker *m);
void random_make_where(random_maker *m);
void random_make_gather(random_maker *m);
void random_make_typed_unary(random_maker *m);
void random_make_typed_binary(random_maker *m);

#endif
