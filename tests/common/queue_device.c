#include "common/queue_internal.h"

#include "common/support.h"

queue_world queue_the = { .mutex = PTHREAD_MUTEX_INITIALIZER,
                          .changed = PTHREAD_COND_INITIALIZER };

void queue_lock(void)
{
    pthread_mutex_lock(&queue_the.mutex);
}

void queue_unlock(void)
{
    pthread_mutex_unlock(&queue_the.mutex);
}

void queue_changed(void)
{
    pthread_cond_broadcast(&queue_the.changed);
}

void queue_wait(void)
{
    pthread_cond_wait(&queue_the.changed, &queue_the.mutex);
}

uint64_t queue_random(uint64_t below)
{
    queue_the.random = queue_the.random * 6364136223846793005u + 1442695040888963407u;
    return (queue_the.random >> 33) % below;
}

void queue_count_up(queue_count what)
{
    queue_the.counts[what]++;
    queue_changed();
}

void queue_wait_for_gate(queue_gate gate)
{
    while (queue_the.closed_gates[gate])
        queue_wait();
}

void queue_complain(const char *format, ...)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    va_list arguments;
    pthread_mutex_lock(&mutex);
    va_start(arguments, format);
    if (!queue_the.complaint[0])
        vsnprintf(queue_the.complaint, sizeof queue_the.complaint, format, arguments);
    va_end(arguments);
    pthread_mutex_unlock(&mutex);
}

hsched_status queue_out_of_memory(const char *what)
{
    return queue_the.host->set_error(HSCHED_ERROR_OUT_OF_MEMORY,
                                     "simulated queue: no memory for %s", what);
}

/* ---- The beginning and the end of a test ---------------------------------- */

/* A test that failed may have left some. */
static queue_existing what_exists(void)
{
    queue_existing now = queue_the.now;
    now.memories = queue_memory_count();
    return now;
}

void queue_device_begin(const queue_device_script *script)
{
    queue_lock();
    queue_the.script = script ? *script : (queue_device_script){ 0 };
    queue_the.random = queue_the.script.seed;
    memset(queue_the.closed_gates, 0, sizeof queue_the.closed_gates);
    memset(queue_the.counts, 0, sizeof queue_the.counts);
    queue_the.fail_after = queue_the.lose_after = 0;
    queue_the.most_jobs = 0;
    queue_the.job_count = 0;
    queue_the.complaint[0] = '\0';
    queue_the.before = what_exists();
    if (!queue_the.jobs)
        queue_the.jobs = calloc(QUEUE_MAX_JOBS, sizeof *queue_the.jobs);
    queue_unlock();
}

void queue_device_end(void)
{
    const queue_existing now = what_exists(), before = queue_the.before;
    if (memcmp(&now, &before, sizeof now) != 0)
        queue_complain(
            "%u devices, %u sections, %u slots and %u pieces of memory are left",
            now.devices - before.devices, now.sections - before.sections,
            now.slots - before.slots, now.memories - before.memories);
    free(queue_the.jobs);
    queue_the.jobs = NULL;
    if (queue_the.complaint[0])
        fail_msg("the simulated queue: %s", queue_the.complaint);
}

uint32_t queue_device_open_count(void)
{
    queue_lock();
    const uint32_t count = queue_the.now.devices - queue_the.before.devices;
    queue_unlock();
    return count;
}

/* ---- Gates and counts ------------------------------------------------------ */

static void set_gate(queue_gate gate, int closed)
{
    queue_lock();
    queue_the.closed_gates[gate] = closed;
    queue_changed();
    queue_unlock();
}

void queue_device_close_gate(queue_gate gate)
{
    set_gate(gate, 1);
}

void queue_device_open_gate(queue_gate gate)
{
    set_gate(gate, 0);
}

uint64_t queue_device_count(queue_count what)
{
    queue_lock();
    const uint64_t count = queue_the.counts[what];
    queue_unlock();
    return count;
}

void queue_device_await(queue_count what, uint64_t count)
{
    queue_lock();
    while (queue_the.counts[what] < count)
        queue_wait();
    queue_unlock();
}

int queue_device_get_job(uint64_t k, queue_device_job *job)
{
    queue_lock();
    const int there = k < queue_the.job_count && k < QUEUE_MAX_JOBS;
    if (there)
        *job = queue_the.jobs[k];
    queue_unlock();
    return there;
}

uint32_t queue_device_most_jobs(void)
{
    queue_lock();
    const uint32_t most = queue_the.most_jobs;
    queue_unlock();
    return most;
}

/* ---- Faults ----------------------------------------------------------------- */

void queue_device_fail_call(uint64_t k, uint32_t calls, hsched_status status)
{
    queue_lock();
    queue_the.fail_after = k;
    queue_the.fail_calls = calls;
    queue_the.fail_status = status;
    queue_unlock();
}

int queue_device_has_failed(void)
{
    queue_lock();
    const int failed = queue_the.fail_after == 0;
    queue_unlock();
    return failed;
}

void queue_device_lose_in_job(uint64_t k)
{
    queue_lock();
    queue_the.lose_after = k;
    queue_unlock();
}

void queue_lose(hsched_backend_device *d)
{
    d->lost = 1;
    for (uint32_t lane = 0; lane < d->lane_count; lane++)
        if (d->lanes[lane].state == LANE_PENDING) {
            d->lanes[lane].state = LANE_DROPPED;
            d->lanes[lane].slot->event.set = 1;
            d->lanes[lane].slot->section->jobs--;
        }
    queue_changed();
}

hsched_status queue_enter(hsched_backend_device *d, queue_call call)
{
    if (!d->lost && queue_the.fail_after > 0 && (queue_the.fail_calls & (uint32_t)call) &&
        --queue_the.fail_after == 0) {
        if (queue_the.fail_status == HSCHED_ERROR_DEVICE)
            queue_lose(d);
        else
            return queue_the.host->set_error(queue_the.fail_status,
                                             "simulated queue: a call that was to fail");
    }
    if (d->lost)
        return queue_the.host->set_error(HSCHED_ERROR_DEVICE,
                                         "simulated queue: the device is lost");
    return HSCHED_OK;
}

/* ---- The device --------------------------------------------------------------- */

static uint32_t count_devices(void)
{
    return queue_the.script.devices ? queue_the.script.devices : 1;
}

static const char *describe(int *available)
{
    *available = 1;
    return "a simulated device with a queue";
}

static void close_device(hsched_backend_device *d)
{
    if (!d)
        return;
    if (d->sections)
        queue_complain("a device is closed that has sections");
    queue_stop_executors(d);
    if (d->memory_bytes)
        queue_complain("a device is closed and %llu bytes of it are in use",
                       (unsigned long long)d->memory_bytes);
    queue_lock();
    queue_the.now.devices--;
    queue_unlock();
    queue_the.host->free(d);
}

static hsched_status open_device(const hsched_device_config *config,
                                 hsched_backend_device **result)
{
    *result = NULL;
    if (config->ordinal < 0 || (uint32_t)config->ordinal >= count_devices())
        return queue_the.host->set_error(HSCHED_ERROR_INVALID_ARGUMENT,
                                         "simulated queue: no device %d",
                                         config->ordinal);
    hsched_backend_device *d = queue_the.host->alloc(sizeof *d);
    if (!d)
        return queue_out_of_memory("a device");
    d->ordinal = (uint32_t)config->ordinal;
    d->lane_count = config->workers < QUEUE_MAX_LANES ? config->workers : QUEUE_MAX_LANES;
    d->memory_limit = config->memory_limit;
    snprintf(d->name, sizeof d->name, "queue%u", d->ordinal);
    queue_lock();
    queue_the.now.devices++;
    queue_unlock();
    const hsched_status status = queue_start_executors(d);
    if (status != HSCHED_OK) {
        close_device(d);
        return status;
    }
    *result = d;
    return HSCHED_OK;
}

static void device_info(const hsched_backend_device *d, hsched_device_info *info)
{
    info->name = d->name;
    info->description = "a simulated device with a queue";
    info->libraries = "reference kernels";
    info->kind = HSCHED_DEVICE_GPU;
    info->workers = d->lane_count;
    info->memory_limit = d->memory_limit;
}

static void queue_stats(hsched_backend_device *d, hsched_queue_stats *stats)
{
    queue_lock();
    stats->memory_bytes = d->memory_bytes;
    stats->memory_peak = d->memory_peak;
    stats->allocations = d->allocations;
    stats->tunings = d->tunings;
    stats->direct_launches = d->launches;
    queue_unlock();
    stats->staged_bytes = atomic_load(&d->staged_bytes);
}

static hsched_status read_meters(hsched_backend_device *d, hsched_meters *meters)
{
    (void)d;
    queue_lock();
    *meters = queue_the.meters;
    queue_unlock();
    return HSCHED_OK;
}

void queue_device_set_meters(const hsched_meters *meters)
{
    queue_lock();
    queue_the.meters = meters ? *meters : (hsched_meters){ 0 };
    queue_unlock();
}

static const hsched_backend table = {
    .struct_size = sizeof table,
    .abi = HSCHED_BACKEND_ABI,
    .name = "queue",
    .kind = HSCHED_DEVICE_GPU,
    .describe = describe,
    .device_open = open_device,
    .device_close = close_device,
    .device_info = device_info,
    .supports = queue_supports,
    .section_prepare = queue_section_prepare,
    .section_destroy = queue_section_destroy,
    .kernel_name = queue_kernel_name,
    .weight_bytes = queue_weight_bytes,
    .slot_destroy = queue_slot_destroy,
    .device_count = count_devices,
    .joinable = queue_joinable,
    .queue_slot_create = queue_slot_create,
    .queue_batch = queue_batch,
    .queue_slot_idle = queue_slot_idle,
    .queue_submit = queue_submit,
    .queue_poll = queue_poll,
    .queue_finish = queue_finish,
    .queue_event = queue_slot_event,
    .wait_event = queue_wait_event,
    .background = queue_background,
    .has_background = queue_has_background,
    .background_stop = queue_background_stop,
    .queue_stats = queue_stats,
    .memory_create = queue_memory_create,
    .memory_register = queue_memory_register,
    .memory_destroy = queue_memory_destroy,
    .memory_copy = queue_memory_copy,
    .read_meters = read_meters,
};

hsched_backend_entry_function hsched_backend_entry;

const hsched_backend *hsched_backend_entry(uint32_t abi, const hsched_backend_host *host)
{
    if (abi != HSCHED_BACKEND_ABI)
        return NULL;
    queue_the.host = host;
    return &table;
}
