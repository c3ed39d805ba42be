/*
 * Policies of one's own: which device executes a section of a model, and which run goes first.
 *
 *     static uint32_t place(void *user, const hsched_policy_section *section) { ... }
 *     hsched_policy_plugin plugin = { HSCHED_POLICY_PLUGIN_INIT, .name = "mine", .place = place };
 *     hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .policy_plugin = &plugin };
 *
 * A section is what the library cuts models into, some steps that are executed by one device. The
 * policy serves the models of the runtime that ask for HSCHED_POLICY_PLUGIN, which is the default
 * there; `order` serves all runs. examples/06_policy.c is a whole one.
 *
 * Hooks are called by any thread, one at a time, under the scheduler's lock: everything waits for
 * them. They never block and call no function of the library. What they are given is valid
 * during the call only. All structs begin with their size and may grow at their end.
 */
#ifndef HSCHED_POLICY_H
#define HSCHED_POLICY_H

#include <hsched/hsched.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hsched_policy_run {
    size_t struct_size;
    const char *model;     /* its name */
    int priority;
    uint64_t submitted_us; /* CLOCK_MONOTONIC */
    uint64_t deadline_us;  /* the same clock; 0: none */
} hsched_policy_run;

typedef struct hsched_policy_section {
    size_t struct_size;
    const hsched_policy_run *run;
    uint32_t section, section_count; /* which of the model's; its inputs are there */
    uint32_t layer_classes;          /* bits of HSCHED_CLASS_...: its layers' */
    uint32_t device_mask;            /* the devices that can execute it, as bits. Device 0 is the
                                        CPU, which always can */
    uint32_t device_count;
    const hsched_device_kind *kinds; /* per device; */
    const uint32_t *workers;         /*   jobs that it executes at the same time; */
    const uint32_t *backlog;         /*   jobs that are queued or executed there */
    uint32_t previous_device;        /* the accelerator that was chosen last for a section of this
                                        run, whose memory its tensors may lie in; 0: none was */
    uint64_t now_us;
} hsched_policy_section;

typedef struct hsched_policy_plugin {
    size_t struct_size;
    const char *name; /* for logs; copied */
    void *user;       /* given to the hooks; the caller's, until the runtime is freed */
    /* Required. The device for this section, one of device_mask: asked when its inputs are there,
     * and for the sections behind it, which join its job if they get the same device. Another
     * answer is counted (hsched_runtime_stats.invalid_placements) and means the CPU. */
    uint32_t (*place)(void *user, const hsched_policy_section *section);
    /* Optional: runs with a smaller result go first, equal ones as they were submitted. Asked once,
     * when the run is submitted; nothing else keeps a run from waiting forever. Default: the
     * library's order by priority, ageing and deadline. */
    int64_t (*order)(void *user, const hsched_policy_run *run);
    /* Optional: 1 to have sections end between two layers that follow each other and are of these
     * classes (one bit each). Asked when a model is compiled, without the lock. */
    int (*cut)(void *user, uint32_t class_before, uint32_t class_after);
} hsched_policy_plugin;
#define HSCHED_POLICY_PLUGIN_INIT .struct_size = sizeof(hsched_policy_plugin)

#ifdef __cplusplus
}
#endif
#endif
