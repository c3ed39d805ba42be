/*
 * The simulated accelerator: computes with the reference kernels on the one thread that
 * calls it and makes every job last at least as long as the configured speed says. For
 * trying plans of two devices on a machine that has one, and the loss of a device.
 *
 * Time and loss are accounted per device and per job: one worker calls run_part and
 * job_boundary, so the device's members below "the present job" belong to that thread and
 * need no lock. All else is immutable once made.
 */
#include "backend/backend.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backend/ref/ref.h"
#include "backend/sim/constants.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/sync.h"

struct hsched_backend_device {
    char *name;
    char *description;
    uint32_t classes;
    double ns_per_mac;  /* 0: as fast as the host computes */
    double crossing_ns; /* added to every job */
    uint64_t fail_after_jobs;
    uint64_t memory_bytes;
    /* The present job. */
    uint64_t job_began_ns;
    double job_macs; /* of the steps executed in it */
    uint64_t jobs_done;
};

struct hsched_backend_section {
    hsched_backend_device *device;
    const hsched_step *steps;
    uint32_t step_count;
    hsi_sim_constants constants;
};

struct hsched_backend_slot {
    hsched_backend_section *section;
};

static const char *sim_describe(int *available)
{
    *available = 1;
    return "a simulated accelerator: reference kernels on a host thread, paced to a "
           "given speed";
}

static void sim_device_close(hsched_backend_device *device)
{
    if (!device)
        return;
    hsi_free(device->name);
    hsi_free(device->description);
    hsi_free(device);
}

/* A finite number of at least 0. */
static int is_amount(double value)
{
    return isfinite(value) && value >= 0;
}

static hsched_status check_config(const hsched_device_config *config,
                                  const hsched_sim_config *sim, const char *name)
{
    const uint32_t all = HSCHED_CLASS_CONVOLUTION | HSCHED_CLASS_MATMUL |
                         HSCHED_CLASS_POOLING | HSCHED_CLASS_NORMALIZATION |
                         HSCHED_CLASS_ELEMENTWISE | HSCHED_CLASS_DATA;
    if (!is_amount(sim->gflops) || !is_amount(sim->crossing_us))
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "simulated device '%s': gflops is %g and crossing_us is %g; both must be "
            "finite and not negative (0: no wait)",
            name, sim->gflops, sim->crossing_us);
    if (sim->layer_classes & ~all)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "simulated device '%s': layer_classes has unknown bits 0x%x; use "
            "HSCHED_CLASS_..., or 0 for all",
            name, sim->layer_classes & ~all);
    if (config->workers > 1)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "simulated device '%s': %u workers were asked for, but it runs one job at "
            "a time; use one worker, or several simulated devices",
            name, config->workers);
    return HSCHED_OK;
}

static char *describe_speed(const hsched_sim_config *sim)
{
    if (sim->gflops == 0)
        return hsi_asprintf("simulated accelerator, unpaced, %g us a crossing",
                            sim->crossing_us);
    return hsi_asprintf("simulated accelerator, %g GFLOP/s, %g us a crossing",
                        sim->gflops, sim->crossing_us);
}

/* It lives in the host's memory. 0 if the system does not say how much there is. */
static uint64_t host_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page_size = sysconf(_SC_PAGESIZE);
    return pages > 0 && page_size > 0 ? (uint64_t)pages * (uint64_t)page_size : 0;
}

static hsched_status sim_device_open(const hsched_device_config *config,
                                     hsched_backend_device **device)
{
    *device = NULL;
    hsched_sim_config sim;
    hsched_status status = HSI_CONFIG_READ(config->sim, &sim);
    if (status != HSCHED_OK)
        return status;
    const char *name = sim.name ? sim.name : "sim";
    status = check_config(config, &sim, name);
    if (status != HSCHED_OK)
        return status;

    hsched_backend_device *made = HSI_NEW(hsched_backend_device);
    if (!made)
        return hsi_out_of_memory("a simulated device");
    made->name = hsi_strdup(name);
    made->description = describe_speed(&sim);
    if (!made->name || !made->description) {
        sim_device_close(made);
        return hsi_out_of_memory("a simulated device");
    }
    made->classes = sim.layer_classes != 0 ? sim.layer_classes : ~UINT32_C(0);
    /* Two operations a multiply-accumulate; gflops of them take one nanosecond. */
    made->ns_per_mac = sim.gflops > 0 ? 2 / sim.gflops : 0;
    made->crossing_ns = sim.crossing_us * 1000;
    made->fail_after_jobs = sim.fail_after_jobs;
    made->memory_bytes = host_memory();
    *device = made;
    return HSCHED_OK;
}

/* `lost` stays 0: whether a device is out of use is decided, and remembered, by its
 * caller. */
static void sim_device_info(const hsched_backend_device *device, hsched_device_info *info)
{
    info->name = device->name;
    info->description = device->description;
    info->libraries = "reference kernels";
    info->kind = HSCHED_DEVICE_SIM;
    info->workers = 1;
    info->memory_bytes = device->memory_bytes;
    info->lost = 0;
}

static int sim_supports(const hsched_backend_device *device, const hsched_step *step)
{
    return (device->classes & hsched_step_kind_class(step->kind)) != 0 &&
           hsi_ref_fault(step) == NULL;
}

static void sim_section_destroy(hsched_backend_section *section)
{
    if (!section)
        return;
    hsi_sim_constants_clear(&section->constants);
    hsi_free(section);
}

static hsched_status sim_section_prepare(hsched_backend_device *device,
                                         hsched_section_config *config,
                                         hsched_backend_section **section)
{
    *section = NULL;
    for (uint32_t i = 0; i < config->step_count; i++) {
        if (!sim_supports(device, &config->steps[i])) {
            const char *fault = hsi_ref_fault(&config->steps[i]);
            return hsi_error(
                HSCHED_ERROR_UNSUPPORTED,
                "step '%s': simulated device '%s' cannot execute it: %s; place it on "
                "the CPU",
                config->steps[i].name, device->name,
                fault ? fault : "its class is not among the device's layer_classes");
        }
    }
    hsched_backend_section *made = HSI_NEW(hsched_backend_section);
    if (!made)
        return hsi_out_of_memory("a section of a simulated device");
    made->device = device;
    made->steps = config->steps;
    made->step_count = config->step_count;
    hsched_status status = hsi_sim_constants_init(&made->constants, config);
    if (status != HSCHED_OK) {
        sim_section_destroy(made);
        return status;
    }
    for (uint32_t i = 0; i < config->step_count; i++)
        config->steps[i].parts = 1; /* one thread: nothing to share out */
    *section = made;
    return HSCHED_OK;
}

static const char *sim_kernel_name(const hsched_backend_section *section, uint32_t step)
{
    (void)section;
    (void)step;
    return "ref";
}

static uint64_t sim_weight_bytes(const hsched_backend_section *section)
{
    return section->constants.bytes;
}

static hsched_status sim_slot_create(hsched_backend_section *section,
                                     hsched_backend_slot **slot)
{
    *slot = HSI_NEW(hsched_backend_slot);
    if (!*slot)
        return hsi_out_of_memory("a slot of a simulated device");
    (*slot)->section = section;
    return HSCHED_OK;
}

static void sim_slot_destroy(hsched_backend_slot *slot)
{
    hsi_free(slot);
}

static hsched_status sim_run_part(hsched_backend_slot *slot, uint32_t step,
                                  void *const *operands, uint32_t part, void *scratch)
{
    hsched_backend_section *section = slot->section;
    (void)scratch;
    if (step >= section->step_count || part != 0)
        return hsi_error(
            HSCHED_ERROR_INTERNAL,
            "simulated device '%s': part %u of step %u was asked for, but the section "
            "has %u steps of one part each; please report it",
            section->device->name, part, step, section->step_count);
    const hsched_step *s = &section->steps[step];
    const void *inputs[HSCHED_STEP_MAX_INPUTS];
    for (uint32_t i = 0; i < s->input_count; i++) {
        const void *constant = hsi_sim_constants_get(&section->constants, step, i);
        inputs[i] = constant ? constant : operands[i];
    }
    hsched_status status = hsi_ref_run(s, inputs, operands[s->input_count]);
    if (status == HSCHED_OK)
        section->device->job_macs += (double)s->macs;
    return status;
}

/* Sleeps until `ns` nanoseconds after `start_ns` on the monotonic clock; not at all if
 * that is past. */
static hsched_status sleep_until(uint64_t start_ns, double ns)
{
    const double longest = 1e18; /* 31 years; keeps the sum below in range */
    uint64_t deadline = start_ns + (uint64_t)(ns < longest ? ns : longest);
    struct timespec t = { .tv_sec = (time_t)(deadline / 1000000000u),
                          .tv_nsec = (long)(deadline % 1000000000u) };
    int error;
    do {
        error = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
    } while (error == EINTR);
    if (error != 0)
        return hsi_error(
            HSCHED_ERROR_SYSTEM,
            "the simulated device could not sleep: %s; set gflops and crossing_us to 0 "
            "to run without waiting",
            strerror(error));
    return HSCHED_OK;
}

static hsched_status sim_job_boundary(hsched_backend_slot *slot, int began)
{
    hsched_backend_device *device = slot->section->device;
    if (began) {
        if (device->fail_after_jobs != 0 && device->jobs_done >= device->fail_after_jobs)
            return hsi_error(
                HSCHED_ERROR_DEVICE,
                "simulated device '%s' is lost after %llu jobs, as fail_after_jobs "
                "of its configuration demands; its work goes on on the CPU",
                device->name, (unsigned long long)device->jobs_done);
        device->job_began_ns = hsi_now_ns();
        device->job_macs = 0;
        return HSCHED_OK;
    }
    device->jobs_done++;
    return sleep_until(device->job_began_ns,
                       device->job_macs * device->ns_per_mac + device->crossing_ns);
}

const hsched_backend hsi_backend_sim = {
    .struct_size = sizeof(hsched_backend),
    .abi = HSCHED_BACKEND_ABI,
    .name = "sim",
    .kind = HSCHED_DEVICE_SIM,
    .describe = sim_describe,
    .device_open = sim_device_open,
    .device_close = sim_device_close,
    .device_info = sim_device_info,
    .supports = sim_supports,
    .section_prepare = sim_section_prepare,
    .section_destroy = sim_section_destroy,
    .kernel_name = sim_kernel_name,
    .weight_bytes = sim_weight_bytes,
    .slot_create = sim_slot_create,
    .slot_destroy = sim_slot_destroy,
    .run_part = sim_run_part,
    .job_boundary = sim_job_boundary,
};
