/* The plug-in's table of functions. */
#include <string.h>

#include "backend/cuda/background.h"
#include "backend/cuda/host.h"
#include "backend/cuda/slot.h"
#include "backend/cuda/user_memory.h"

const hsched_backend_host *hsi_cuda_host;

static void device_info(const hsched_backend_device *device, hsched_device_info *info)
{
    info->name = device->name;
    info->description = device->description;
    info->libraries = device->libraries;
    info->kind = HSCHED_DEVICE_GPU;
    info->workers = device->lane_count;
    info->memory_bytes = device->memory_bytes;
    info->sm_count = (uint32_t)device->sm_count;
    info->sm_total = (uint32_t)device->sm_total;
    info->memory_limit = device->memory.limit;
}

static void queue_stats(hsched_backend_device *d, hsched_queue_stats *stats)
{
    pthread_mutex_lock(&d->memory.mutex);
    stats->memory_bytes = d->memory.used;
    stats->memory_peak = d->memory.peak;
    stats->allocations = d->memory.allocations;
    pthread_mutex_unlock(&d->memory.mutex);
    stats->tunings = atomic_load(&d->tunings);
    stats->captures = atomic_load(&d->captures);
    stats->graph_launches = atomic_load(&d->graph_launches);
    stats->direct_launches = atomic_load(&d->direct_launches);
    stats->evictions = atomic_load(&d->evictions);
    stats->staged_bytes = atomic_load(&d->staged_bytes);
}

static hsched_status read_meters(hsched_backend_device *d, hsched_meters *meters)
{
    hsi_nvml_read(&d->nvml, meters);
    return HSCHED_OK;
}

static const hsched_backend table = {
    .struct_size = sizeof table,
    .abi = HSCHED_BACKEND_ABI,
    .name = "cuda",
    .kind = HSCHED_DEVICE_GPU,
    .describe = hsi_cuda_describe,
    .device_open = hsi_cuda_device_open,
    .device_close = hsi_cuda_device_close,
    .device_info = device_info,
    .supports = hsi_cuda_supports,
    .section_prepare = hsi_cuda_section_prepare,
    .section_destroy = hsi_cuda_section_destroy,
    .kernel_name = hsi_cuda_kernel_name,
    .weight_bytes = hsi_cuda_weight_bytes,
    .slot_destroy = hsi_cuda_slot_destroy,
    .device_count = hsi_cuda_device_count,
    .joinable = hsi_cuda_joinable,
    .queue_slot_create = hsi_cuda_slot_create,
    .queue_batch = hsi_cuda_queue_batch,
    .queue_slot_idle = hsi_cuda_slot_idle,
    .queue_submit = hsi_cuda_submit,
    .queue_poll = hsi_cuda_poll,
    .queue_finish = hsi_cuda_finish,
    .queue_event = hsi_cuda_slot_event,
    .wait_event = hsi_cuda_wait_event,
    .background = hsi_cuda_background,
    .has_background = hsi_cuda_has_background,
    .background_stop = hsi_cuda_background_stop,
    .queue_stats = queue_stats,
    .memory_create = hsi_cuda_memory_create,
    .memory_register = hsi_cuda_memory_register,
    .memory_destroy = hsi_cuda_memory_destroy,
    .memory_copy = hsi_cuda_memory_copy,
    .read_meters = read_meters,
};

HSCHED_API hsched_backend_entry_function hsched_backend_entry;

const hsched_backend *hsched_backend_entry(uint32_t abi, const hsched_backend_host *host)
{
    if (abi != HSCHED_BACKEND_ABI)
        return NULL;
    hsi_cuda_host = host;
    return &table;
}
