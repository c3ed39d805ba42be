/*
 * Steps of the shapes that networks are made of - channels-last images whose channels are a
 * multiple of 8, rows of hundreds of elements - which fast kernels want and random steps seldom
 * have.
 */
#ifndef TESTS_GPU_OP_STEPS_H
#define TESTS_GPU_OP_STEPS_H

#include "backend/random_maker.h"

/* Any of the step's operands is float32: the number format makes a difference. */
int op_has_floats(const hsched_step *step);

/* 1 if there are such steps of the kind: where random ones are usual enough there are not. */
int op_has_usual_step(hsched_step_kind kind);
/* Step number `index` of such a kind. Free with random_step_free. */
void op_usual_step(random_step *made, hsched_step_kind kind, uint64_t seed,
                   uint32_t index);

/* The end of making a step by hand: keeps what its memory holds, and computes what is expected. */
void op_finish_step(random_step *made);
/* Computes it again, from what the memory holds now. */
void op_expect_step(random_step *made);

#endif
