/*
 * The present load of one device: by what factor all its jobs take longer than the cost table
 * says, because of something outside. Noticed, and forgotten, from the times of a few jobs.
 *
 * Of jobs that have the device to themselves: the median over the entries of the table that were
 * seen lately, of the median of each one's log-ratios "took / expected" (expected: corrected,
 * stretched by our own jobs at once). A median over entries, not over jobs, since one entry that
 * is wrong must not look like a load however often it runs. Medians keep edges and drop outliers
 * (Tukey, "Exploratory Data Analysis", 1977; Gallagher and Wise, "A Theoretical Analysis of the
 * Properties of Median Filters", 1981). Where jobs share the device: by the work of all of them.
 *
 * What entries may learn from comes out of here as well, late: when as many observations are
 * known after it as before it, and only if the device was believed unloaded when it came and
 * still is when looking back from both sides. So the jobs at the two edges of a load, which are
 * seen before the load is noticed, or its end, teach nobody. Pure: times are the caller's.
 */
#ifndef HSI_COST_LOAD_H
#define HSI_COST_LOAD_H

#include <stdint.h>

enum {
    HSI_COST_LOAD_WINDOW = 16 /* observations */
};

typedef struct hsi_cost_observation {
    uint64_t time_us;
    uint64_t entry; /* whose: any number that tells entries apart */
    double vote;    /* log of took to expected, corrections included */
    double weight;  /* what it would have had of the device's time, had it taken that */
    double lesson;  /* log of took to expected, without the entry's correction */
    int votes;      /* the entry is known well enough to have a vote */
    double stretch; /* by what our own jobs at once were expected to slow it down */
    int judged;     /* has come out, or never will */
} hsi_cost_observation;

/* All zeros: nothing was seen. */
typedef struct hsi_cost_load {
    hsi_cost_observation ring[HSI_COST_LOAD_WINDOW];
    uint32_t next, count; /* next: where the next one goes */
    double log;           /* of the factor, as of the latest observation */
    uint64_t latest_us;   /* its time */
    uint64_t span_us;     /* observations count for so long */
} hsi_cost_load;

/*
 * Takes an observation in. Those that have come to be judged, and teach, are put into learned[]:
 * entry and lesson are to be used. Returns how many. `duration_us`: of the job.
 */
uint32_t hsi_cost_load_observe(hsi_cost_load *load,
                               const hsi_cost_observation *observation,
                               double duration_us,
                               hsi_cost_observation learned[HSI_COST_LOAD_WINDOW]);
/* The entry has been measured anew: what was seen of it says nothing about it. */
void hsi_cost_load_forget(hsi_cost_load *load, uint64_t entry);

/* The factor's logarithm at now_us; 0: no load is noticed. */
double hsi_cost_load_log(const hsi_cost_load *load, uint64_t now_us);

#endif
