/* Tests that hold for gpu_only and for cost alike: each is run with both. */
#ifndef TESTS_COMMON_BOTH_POLICIES_H
#define TESTS_COMMON_BOTH_POLICIES_H

#include "common/support.h"

static hsched_policy used_policy; /* the test's */

static inline int take_policy(void **state)
{
    used_policy = *(const hsched_policy *)*state;
    return 0;
}

static hsched_policy both_policies[] = { HSCHED_POLICY_GPU_ONLY, HSCHED_POLICY_COST };

/* Two entries of a list of tests. */
#define WITH_POLICIES(test)                                                              \
    { #test "_gpu_only", test, take_policy, NULL, &both_policies[0] },                   \
    {                                                                                    \
#test "_cost", test, take_policy, NULL, &both_policies[1]                        \
    }

#endif
