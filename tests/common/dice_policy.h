/* A policy that throws dice for every section, of every run. */
#ifndef TESTS_COMMON_DICE_POLICY_H
#define TESTS_COMMON_DICE_POLICY_H

#include <hsched/policy.h>

typedef struct dice {
    uint64_t random;
    uint32_t stay;   /* of 8 sections so many go where the one before them went */
    uint32_t device; /* that one */
} dice;

/* Sections are cut wherever layers of two classes meet. `dice` lives as long as the runtime. */
hsched_policy_plugin dice_policy(dice *dice);

#endif
