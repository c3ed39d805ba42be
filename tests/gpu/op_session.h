/*
 * What programs that test ops of the GPU plug-in have in common: the device, how many steps are
 * tried from which seed, how many failures there were, and what was met.
 *
 * HSCHED_TEST_SEED sets the seed (printed with every failure), HSCHED_TEST_STEPS the steps of each
 * kind, HSCHED_TEST_VARIANTS how many variants of cuDNN and cuBLASLt are tried for a step,
 * HSCHED_TEST_OWN how many of each own family, and HSCHED_TEST_FILTER the tests by name.
 */
#ifndef TESTS_GPU_OP_SESSION_H
#define TESTS_GPU_OP_SESSION_H

#include "backend/random_step.h"
#include "gpu/op_run.h"

#define OP_MOST_VARIANTS 64 /* of a family, for a step */

typedef struct op_session {
    uint64_t seed;
    uint32_t steps;          /* of each kind */
    uint32_t variants;       /* of cuDNN and cuBLASLt, for a step */
    uint32_t own;            /* of each own family, for a step */
    hsi_cuda_device *device; /* NULL: there is none, or it did not open */
    int broken;              /* a call poisoned the context, or the device did not open */
    op_bench bench;
    int failures; /* of the present test */
    struct {
        uint32_t steps, runs, refused;
    } met[RANDOM_STEP_KINDS + 1]; /* by kind of step */
} op_session;

extern op_session session;

/* Reads the environment. */
void op_session_configure(void);
/* For cmocka: before and after all tests. */
int op_session_open(void **state);
int op_session_close(void **state);

/* A test begins: skips where there is no GPU; else enters the device. And ends: fails if
 * anything did. */
void op_session_begin(void);
void op_session_end(void);
/* 0 after so many failures that more would tell nothing. */
int op_session_goes_on(void);
/* Notices a poisoned context. */
void op_session_note(hsched_status status);

/* An op of this name was met; kind 0: no step's. */
void op_session_count(int kind, const char *name);
/* A test that says what was met. */
void op_session_tell(void **state);

#endif
