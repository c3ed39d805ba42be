/* Small problems for the placement search, and what they amount to, found without it. */
#ifndef TESTS_UNIT_PLACEMENT_PROBLEM_H
#define TESTS_UNIT_PLACEMENT_PROBLEM_H

#include "common/support.h"

#include "plan/placement.h"

enum {
    PROBLEM_SECTIONS = 512, /* at most */
    PROBLEM_DEPS = 4
};

/* Its problem points into it, so it stays where it is. */
typedef struct placement_case {
    hsi_placement_problem problem;
    hsi_placement_section sections[PROBLEM_SECTIONS];
    uint32_t deps[PROBLEM_SECTIONS][PROBLEM_DEPS];
    uint64_t bytes[PROBLEM_SECTIONS][PROBLEM_DEPS];
    double us[PROBLEM_SECTIONS * HSI_PLACEMENT_DEVICES];
} placement_case;

typedef enum placement_shape {
    SHAPE_CHAIN,
    SHAPE_RANDOM,   /* each section reads up to three times of the six before it */
    SHAPE_BRANCHES, /* forks of three branches, their sections mixed by index */
    SHAPE_SKIPS,    /* a chain in which some read the third before them, too */
    SHAPE_COUNT
} placement_shape;

/* No section reads another, nothing costs anything, one worker and weight 1 everywhere, every
 * section can be anywhere. */
void placement_case_init(placement_case *c, uint32_t sections, uint32_t devices);
void placement_case_read(placement_case *c, uint32_t section, uint32_t dep,
                         uint64_t bytes);
void placement_case_chain(placement_case *c, uint64_t bytes);
void placement_case_links(placement_case *c, double us, double us_per_byte);
/* Executing one section on the devices 0, 1, ... */
void placement_case_us(placement_case *c, uint32_t section, const double *us);

/* All numbers are sums of a few powers of two, so that all times are exact, whatever the order of
 * the additions: ties are ties. */
void placement_case_random(placement_case *c, placement_shape shape, uint32_t sections,
                           uint32_t devices, uint64_t seed);

/* A placement that the masks allow. */
void placement_random(const placement_case *c, uint8_t *devices, uint64_t *state);
int placement_is_possible(const hsi_placement_problem *p, const uint8_t *devices);

/* The run is followed through time, event by event: what hsi_placement_evaluate is compared
 * with. */
void placement_follow(const hsi_placement_problem *p, const uint8_t *devices,
                      hsi_placement_totals *totals);

/* The smallest latency of all placements there are, as the library judges them; that it does so
 * rightly is for placement_follow to say, which is too slow for so many. */
double placement_best(const hsi_placement_problem *p);

/* The smallest latency of the placements on one device, with the CPU where that cannot. */
double placement_best_single(const hsi_placement_problem *p);

#endif
