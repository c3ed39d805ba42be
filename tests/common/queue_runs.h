/*
 * Runs of models on a simulated device with a queue, against the same model on the CPU.
 *
 * The runtime uses reference kernels throughout, as the device does, so a run gives the same
 * bits wherever its steps are executed: results are compared bit by bit.
 */
#ifndef TESTS_COMMON_QUEUE_RUNS_H
#define TESTS_COMMON_QUEUE_RUNS_H

#include "common/queue_device.h"
#include "common/user_tensor.h"

#define QUEUE_DEVICE 1 /* in the runtime */

enum {
    QUEUE_MAX_IO = 32
};

/* queue_device_begin, and a runtime with the device; the reverse. NULL: the default. */
hsched_runtime *queue_runtime_open(const queue_device_script *script,
                                   const hsched_runtime_config *config);
void queue_runtime_close(hsched_runtime *runtime);
hsched_runtime_stats queue_runtime_stats(hsched_runtime *runtime);
hsched_device_stats queue_device_stats(hsched_runtime *runtime);
int queue_is_lost(hsched_runtime *runtime);

typedef struct queue_net {
    hsched_runtime *runtime;
    hsched_model *model, *reference; /* on the CPU */
    uint32_t in_count, out_count;
    hsched_tensor_info in[QUEUE_MAX_IO], out[QUEUE_MAX_IO];
} queue_net;

/* Consumes the graph. */
void queue_net_make(queue_net *net, hsched_runtime *runtime, hsched_graph *graph,
                    const hsched_model_config *config);
void queue_net_free(queue_net *net);
/* tiny_network with a policy. */
void queue_net_tiny(queue_net *net, hsched_runtime *runtime, hsched_policy policy);

/* A run with inputs of its own, and what it has to give. */
typedef struct queue_trial {
    const queue_net *net;
    user_tensor in[QUEUE_MAX_IO], out[QUEUE_MAX_IO];
    void *given[QUEUE_MAX_IO], *want[QUEUE_MAX_IO];
    hsched_run *run;
    /* As in hsched_run_config. */
    void *wait_event;
    int priority;
    uint64_t deadline_us;
    hsched_late late;
    hsched_run_callback callback;
    void *callback_user;
} queue_trial;

void queue_trial_make(queue_trial *trial, const queue_net *net, user_tensor_kind in,
                      user_tensor_kind out, uint64_t seed);
void queue_trial_free(queue_trial *trial);
hsched_status queue_trial_try(queue_trial *trial); /* submits */
void queue_trial_submit(queue_trial *trial);       /* the same; it must not fail */
/* Waits for it: it ended well, with the right results. */
void queue_trial_finish(queue_trial *trial);
void queue_trial_run(queue_trial *trial); /* both */
/* The runs of the batch that it was executed in. After its end, before finish. */
uint32_t queue_trial_batch(const queue_trial *trial);

/* One run of the tiny network in a runtime of its own: what many tests begin and end with. */
typedef struct queue_single {
    hsched_runtime *runtime;
    queue_net net;
    queue_trial trial;
} queue_single;

void queue_single_open(queue_single *single, hsched_policy policy, user_tensor_kind in,
                       user_tensor_kind out);
void queue_single_close(queue_single *single);

void queue_trials_make(queue_trial *trials, uint32_t count, const queue_net *net,
                       user_tensor_kind in, user_tensor_kind out);
void queue_trials_finish(queue_trial *trials, uint32_t count);
void queue_trials_free(queue_trial *trials, uint32_t count);
/* So many at once, in plain memory, and that so many times. */
void queue_run_many(const queue_net *net, uint32_t at_once, uint32_t rounds);

/* Nothing failed, and nothing went to the CPU that was meant for the device. */
void queue_expect_no_restarts(hsched_runtime *runtime);
/* Three runs in each pair of kinds of memory for inputs and outputs. */
void queue_try_all_memory(const queue_net *net);

#endif
