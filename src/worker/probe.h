/*
 * What is written down of a run that is measured. Whoever executes a part of the run fills in what
 * that part is about; the owner reads it when the run has ended. Times are nanoseconds.
 */
#ifndef HSI_WORKER_PROBE_H
#define HSI_WORKER_PROBE_H

#include "sched/core.h"
#include "worker/exec.h"

struct hsi_exec_probe {
    uint32_t
        workers; /* a step is shared by at most so many CPU workers; 0: by any number */
    /* Per step and section of the plan, of devices that execute on our threads; both or neither
     * NULL: then nothing is measured inside of jobs. */
    uint64_t *step_ns, *section_ns;
    /* Guarded by the scheduler lock: */
    uint64_t *job_ns;            /* per section: of the job that began with it; or NULL */
    uint64_t began_ns, ended_ns; /* of the first and the last job */
    uint64_t device_ns[HSI_MAX_DEVICES]; /* all jobs of a device together */
    uint32_t batch;                      /* the most runs that were in a job of it */
};

/* Workers that may help with a step, of so many that could. `probe` NULL: all. */
static inline uint32_t hsi_probe_helpers(const hsi_exec_probe *probe, uint32_t helpers)
{
    if (!probe || probe->workers == 0 || helpers < probe->workers)
        return helpers;
    return probe->workers - 1;
}

/* A job of the run has ended. `probe` NULL: nothing. Under the scheduler lock. */
static inline void hsi_probe_job(hsi_exec_probe *probe, const hsi_job *job,
                                 uint32_t batch, uint64_t began_ns, uint64_t ended_ns)
{
    if (!probe)
        return;
    if (probe->job_ns)
        probe->job_ns[job->section] = ended_ns - began_ns;
    if (probe->began_ns == 0)
        probe->began_ns = began_ns;
    probe->ended_ns = ended_ns;
    probe->device_ns[job->device] += ended_ns - began_ns;
    if (batch > probe->batch)
        probe->batch = batch;
}

#endif
