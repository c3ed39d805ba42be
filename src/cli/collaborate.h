/*
 * What `hsched bench collaborate` is made of: a machine (a GPU or a part of it, beside some CPU
 * workers), on which networks are loaded in several ways; sets of networks that run at once; how
 * long a set takes when its runs are shared out in some way; and the search for the best way.
 */
#ifndef CLI_COLLABORATE_H
#define CLI_COLLABORATE_H

#include "cli/inputs.h"
#include "cli/session.h"

enum {
    CLI_NETWORKS_MAX = 8, /* different ones */
    CLI_INSTANCES_MAX = 64,
    CLI_DEVICES_MAX = 16 /* of a runtime */
};

/* How a run is placed. */
typedef enum cli_way {
    CLI_WAY_GPU = 0,    /* HSCHED_POLICY_GPU_ONLY */
    CLI_WAY_CPU,        /* HSCHED_POLICY_CPU_ONLY */
    CLI_WAY_LAYER_TYPE, /* HSCHED_POLICY_LAYER_TYPE */
    CLI_WAY_SPLIT,      /* the first sections on one device, the rest on the other */
    CLI_WAY_COST,       /* HSCHED_POLICY_COST */
    CLI_WAY_STEPS, /* on the GPU layer by layer: a job for each, one queue, no CUDA graphs, no
                           joining, no fusion */
    CLI_WAYS
} cli_way;

/* Which networks run at once, and how many of each: "densenet201:8", "vgg16:2,alexnet:2". */
typedef struct cli_mix {
    const char *text; /* borrowed */
    uint32_t count;
    uint32_t network[CLI_NETWORKS_MAX]; /* the bench's number of it */
    uint32_t instances[CLI_NETWORKS_MAX];
} cli_mix;

/* Runs of each network that go each way. For a set of the bench: those of
 * mix->network[i] in [i]. */
typedef struct cli_shares {
    uint8_t runs[CLI_NETWORKS_MAX][CLI_WAYS];
} cli_shares;

/* Where CLI_WAY_SPLIT changes over. Read by the policy while runs are in flight; written between
 * them only. */
typedef struct cli_split {
    char name[64];     /* of the model, which the policy knows it by */
    uint32_t sections; /* before `at` it is the one device, from there on the other */
    uint32_t at;
    int gpu_first;
} cli_split;

typedef struct cli_machine {
    cli_session *session;  /* borrowed: devices, math, seed */
    uint32_t sms, workers; /* as asked for; 0: all */
    hsched_runtime *runtime, *steps_runtime;
    const char *const *networks; /* MODELs, borrowed */
    uint32_t network_count;
    hsched_model *models[CLI_NETWORKS_MAX][CLI_WAYS]; /* NULL: not loaded */
    /* In memory that all devices of the runtime reach; of steps_runtime in [1]. */
    hsched_binding *inputs[CLI_NETWORKS_MAX][2];
    uint32_t input_count[CLI_NETWORKS_MAX];
    cli_split splits[CLI_NETWORKS_MAX];
    double
        submit_us; /* that passed between two submissions of the set that was timed last */
} cli_machine;

/* Loads all networks in all ways of the mask (bits of 1 << cli_way). Gives CLI_OK or the command's
 * exit status, after an error was printed; the machine is closed then. */
int cli_machine_open(cli_machine *machine, cli_session *session, uint32_t sms,
                     uint32_t workers, const char *const *networks,
                     uint32_t network_count, uint32_t ways);
void cli_machine_close(cli_machine *machine);
/* Measures what the policy `cost` needs, where it is not known yet: at most so long for each
 * network. `all`: and what simulating other ways needs, which is more where a network is cut
 * otherwise. */
int cli_machine_profile(cli_machine *machine, double seconds, int all);

/* Submits all runs of the shares at once and waits for them: *us, from the first submission to the
 * last end. */
int cli_machine_time(cli_machine *machine, const cli_mix *mix, const cli_shares *shares,
                     double *us);
/* One after the other until so much time has passed, at least once. */
int cli_machine_warm(cli_machine *machine, const cli_mix *mix, const cli_shares *shares,
                     double seconds);
/* So often one after the other, after as many as `warm` that do not count. */
int cli_machine_samples(cli_machine *machine, const cli_mix *mix,
                        const cli_shares *shares, uint32_t warm, double *samples,
                        uint32_t count);

/* The same in virtual time, by what was measured of the networks: the set submitted to devices that
 * are slowed down so many times, a run every submit_us. Not CLI_WAY_STEPS. Errors, with a detail
 * for a note: NOT_FOUND (something was never measured), those of the simulator. */
hsched_status cli_machine_simulate(const cli_machine *machine, const cli_mix *mix,
                                   const cli_shares *shares, const double *loads,
                                   double submit_us, double *us);

/* All runs of the set that way. */
cli_shares cli_shares_all(const cli_mix *mix, cli_way way);

/* ---- The best way --------------------------------------------------------- */

typedef struct cli_best {
    /* The least of max(GPU's time, CPU's time) over all ways to share out whole runs, both as
     * measured when they are alone; or what the best static placement took, if that is less. */
    double optimum_us;
    uint32_t optimum_gpu[CLI_NETWORKS_MAX]; /* runs on the GPU there */
    /* The best static placement that was found, by measuring. */
    cli_shares shares;
    cli_split splits[CLI_NETWORKS_MAX]; /* to be set in the machine for it */
    double static_us;      /* when it was found; it is measured anew beside the others */
    uint32_t measurements; /* placements that were timed */
    int complete;          /* nothing was left out for want of time */
} cli_best;

/* Looks for it for `seconds` at most. */
int cli_best_find(cli_machine *machine, const cli_mix *mix, double seconds,
                  cli_best *best);

#endif
