/*
 * Random steps that keep the contract of hsched/backend.h, with data, the expected result
 * and the means to tell whether a backend computed it: for one test of all backends.
 *
 * Memory. Every operand lies in a block of its own, its first element aligned to the
 * element size and no better. What no element covers - gaps of strides, room in front and
 * behind - holds a pattern that is a NaN as a float: a kernel that reads there gives
 * NaNs, one that writes there is found out. Input blocks end with the last element, so
 * that a sanitizer sees a read past it.
 *
 * Data. Sums are scaled to be of size about one, so that the tolerance can be stated
 * simply. Activations that amplify or jump are fed sums that suit them: positive ones for
 * log, sqrt, reciprocal and exp; multiples of 1/16, on which every order of summation is
 * exact, for floor, ceil, thresholded_relu and others that jump.
 *
 * Tolerance, y against the reference r (RANDOM_STEP_TOLERANCE is 1e-5; of float64 it is
 * RANDOM_STEP_TOLERANCE_64, 1e-12, in its place):
 *   copy, pad, max pooling, nearest resizing, cast, where, integers and bool: the same bits
 *   unary, binary, scale, image    |y - r| <= 1e-5 * max(1, |r|) for each element
 *   softmax (not its logarithm)    |y - r| <= 1e-5 * max |r|
 *   all else                       |y - r| <= 1e-5 * max(1, max |r|)
 * or made->tolerance in place of 1e-5, where it is not 0.
 */
#ifndef TESTS_BACKEND_RANDOM_STEP_H
#define TESTS_BACKEND_RANDOM_STEP_H

#include <hsched/backend.h>

#define RANDOM_STEP_TOLERANCE    1e-5
#define RANDOM_STEP_TOLERANCE_64 1e-12
#define RANDOM_STEP_KINDS        33 /* step kinds are 1..33, with gaps: random_step_has */

typedef struct random_memory {
    uint8_t *block;
    uint8_t *pristine; /* a copy of the block as it was made */
    size_t size;
    size_t first; /* bytes to the element with index 0 in every dimension */
} random_memory;

typedef enum random_compare {
    RANDOM_COMPARE_NORM = 0,
    RANDOM_COMPARE_NORM_NO_FLOOR,
    RANDOM_COMPARE_ELEMENTS,
    RANDOM_COMPARE_BITS
} random_compare;

typedef struct random_step {
    hsched_step step; /* in[i].constant points into in[i]'s block */
    random_memory in[HSCHED_STEP_MAX_INPUTS];
    random_memory out;   /* in[step.out_aliases]'s memory too, if that is not -1 */
    uint8_t *is_element; /* per byte of out's block: belongs to an element */
    uint8_t *expected;   /* out's block after the reference */
    random_compare compare;
    double tolerance; /* the test's to set */
    char text[1024];  /* the step in words */
} random_step;

/* A small generator of its own, so that a seed means the same everywhere. */
uint64_t random_next(uint64_t *state);
int64_t random_range(uint64_t *state, int64_t low, int64_t high); /* both included */
int random_chance(uint64_t *state, int percent);
double random_uniform(uint64_t *state, double low, double high);

/* 1 if there is such a kind. */
static inline int random_step_has(int kind)
{
    return hsched_step_kind_class((hsched_step_kind)kind) != 0;
}

/* Makes step number `index` of a kind: the same for the same arguments. `made` is
 * overwritten. */
void random_step_make(random_step *made, hsched_step_kind kind, uint64_t seed,
                      uint32_t index);
void random_step_free(random_step *made);
/* Rounds what the step multiplies, in[0] and in[1] of float32, to bfloat16, and expects what comes
 * of that: kernels that round so themselves have no excuse left. */
void random_step_round(random_step *made);

/* The operand table of run_part: in[0..input_count-1], then out. */
void random_step_operands(const random_step *made, void **operands);
/* Makes out's block what it was: the pattern, and the input's data if out shares its
 * memory. */
void random_step_reset(random_step *made);
/* NULL if out holds what is expected and nothing else was changed; else what is wrong, in
 * `why`. */
const char *random_step_check(const random_step *made, char *why, size_t size);

/* For tests: memory aligned to 64 bytes (the program ends when there is none; free with
 * free), and the pattern that says "no element". */
void *random_alloc(size_t size);
void random_fill_pattern(uint8_t *block, size_t size);

#endif
