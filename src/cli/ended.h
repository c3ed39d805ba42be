/*
 * Runs of which many are in flight, for one thread that goes on with whichever has ended: it
 * submits tickets, waits until some have ended, and takes these back. What a ticket is for, its
 * owner puts behind it.
 */
#ifndef CLI_ENDED_H
#define CLI_ENDED_H

#include <pthread.h>

#include "cli/inputs.h"

/* One run at a time. */
typedef struct cli_ticket {
    hsched_run *run; /* from its submission until it is settled; else NULL */
    struct cli_ended *ended;
    struct cli_ticket *next; /* among those taken together; before, guarded by the lock */
} cli_ticket;

typedef struct cli_ended {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* by CLOCK_MONOTONIC */
    cli_ticket *first;      /* those that have ended, the last one first */
} cli_ended;

/* Gives CLI_OK or CLI_SYSTEM; there is nothing to destroy then. */
int cli_ended_init(cli_ended *ended);
void cli_ended_destroy(cli_ended *ended); /* no ticket is in flight */

/* Submits a run of the model for a zeroed or settled ticket. */
hsched_status cli_ended_submit(cli_ended *ended, cli_ticket *ticket, hsched_model *model,
                               const cli_inputs *inputs);
/* Waits until some have ended and takes them all: a list, each to be settled; a ticket's `next` is
 * read before it is submitted again. NULL: it is until_us (CLOCK_MONOTONIC, microseconds), and none
 * has; never with UINT64_MAX. */
cli_ticket *cli_ended_take(cli_ended *ended, uint64_t until_us);
/* How the run of a ticket that was taken ended, and when if it ended well. The run goes with the
 * ticket's reference; `kept`, if not NULL: not one that ended well, which is the caller's. */
hsched_status cli_ticket_settle(cli_ticket *ticket, hsched_run_times *times,
                                hsched_run **kept);

#endif
