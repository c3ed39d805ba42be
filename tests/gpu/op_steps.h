/*
 * Steps of the shapes that networks are made of - channels-last images whose channels are a
 * multiple of 8, rows of hundreds of elements - which fast kernels want and random steps seldom
 * have.
 */
#ifndef TESTS_GPU_OP_STEPS_H
#define TESTS_GPU_OP_STEPS_H

#include "backend/random_maker.h"

/* Step number `index` of a kind; not CONV2D, MATMUL and IMAGE. Free with random_step_free. */
void op_usual_step(random_step *made, hsched_step_kind kind, uint64_t seed,
                   uint32_t index);

/* The end of making a step by hand: keeps what its memory holds, and computes what is expected. */
void op_finish_step(random_step *made);
/* Computes it again, from what the memory holds now. */
void op_expect_step(random_step *made);

#endif
