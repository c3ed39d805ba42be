#include "backend/cuda/section.h"

#include <string.h>

#include "backend/cuda/background.h"
#include "backend/cuda/host.h"
#include "backend/cuda/recurrent.h"
#include "backend/cuda/slot.h"

/* The last that kernels know (kernels/common.cuh). */
#define LAST_ACTIVATION HSCHED_ACTIVATION_FAKE_QUANTIZE

/* Kernels for the activation, and for floats. */
static int has_kernel(const hsched_step *step)
{
    return step->out.dtype == HSCHED_FLOAT32 && step->act.kind <= LAST_ACTIVATION;
}

/* Of integers and bool there are all that the step may have. */
static int has_arithmetic(const hsched_step *step)
{
    if (step->kind == HSCHED_STEP_BINARY &&
        step->u.binary.kind > HSCHED_BINARY_SHIFT_RIGHT)
        return 0;
    return step->act.kind <= LAST_ACTIVATION;
}

/* float64 is moved, chosen from, cast and added up; what else is done with it is the CPU's. */
static int takes_doubles(const hsched_step *step)
{
    switch (step->kind) {
    case HSCHED_STEP_COPY:
    case HSCHED_STEP_PAD:
    case HSCHED_STEP_CAST:
    case HSCHED_STEP_WHERE:
    case HSCHED_STEP_GATHER:
    case HSCHED_STEP_CUMSUM:
        return 1;
    case HSCHED_STEP_RESIZE:
        return step->u.resize.mode == HSCHED_RESIZE_NEAREST;
    case HSCHED_STEP_SCATTER:
        return step->u.scatter.kind == HSCHED_SCATTER_SET;
    default:
        return 0;
    }
}

static int has_doubles(const hsched_step *step)
{
    int any = step->out.dtype == HSCHED_FLOAT64;
    for (uint32_t i = 0; i < step->input_count; i++)
        any |= step->in[i].dtype == HSCHED_FLOAT64;
    return any;
}

int hsi_cuda_supports(const hsched_backend_device *device, const hsched_step *step)
{
    (void)device;
    if (has_doubles(step) && !takes_doubles(step))
        return 0;
    switch (step->kind) {
    case HSCHED_STEP_COPY:
        return step->out.dtype != HSCHED_DTYPE_NONE;
    case HSCHED_STEP_CONV2D:
    case HSCHED_STEP_FC:
    case HSCHED_STEP_MATMUL:
    case HSCHED_STEP_POOL2D:
    case HSCHED_STEP_SCALE:
    case HSCHED_STEP_LRN:
    case HSCHED_STEP_SOFTMAX:
    case HSCHED_STEP_NORM:
    case HSCHED_STEP_IMAGE:
        return has_kernel(step);
    case HSCHED_STEP_RECURRENT:
        return hsi_cuda_recurrent_fits(step);
    case HSCHED_STEP_REDUCE:
        return step->u.reduce.kind <= HSCHED_REDUCE_PROD;
    case HSCHED_STEP_UNARY:
    case HSCHED_STEP_BINARY:
        return has_arithmetic(step);
    case HSCHED_STEP_RESIZE:
        return hsi_cuda_takes_resize(step);
    case HSCHED_STEP_PAD: /* any type that it may be of */
    case HSCHED_STEP_CAST:
    case HSCHED_STEP_WHERE:
    case HSCHED_STEP_GATHER:
    case HSCHED_STEP_TUPLE_INDEX:
    case HSCHED_STEP_ARG:
    case HSCHED_STEP_CUMSUM:
    case HSCHED_STEP_ROTARY:
    case HSCHED_STEP_GRID_SAMPLE:
    case HSCHED_STEP_ROI_ALIGN:
    case HSCHED_STEP_POOL_INDEX:
        return 1;
    case HSCHED_STEP_TOP_K:
        return hsi_cuda_takes_top_k(step);
    case HSCHED_STEP_SCATTER:
        return hsi_cuda_takes_scatter(step);
    default: /* the CPU's */
        return 0;
    }
}

static hsched_status copy_arrays(hsched_backend_section *s,
                                 const hsched_section_config *config)
{
    const uint32_t ios = config->input_count + config->output_count;
    s->places = HSI_CUDA_NEW_ARRAY(hsched_step_places, config->step_count);
    s->io_bytes = HSI_CUDA_NEW_ARRAY(size_t, ios);
    s->io_types = HSI_CUDA_NEW_ARRAY(hsched_dtype, ios);
    if (!s->places || !s->io_bytes || !s->io_types)
        return hsi_cuda_no_memory("a model");
    memcpy(s->places, config->places, config->step_count * sizeof *s->places);
    for (uint32_t i = 0; i < config->step_count; i++) {
        memset(s->places[i].writers, 0, sizeof s->places[i].writers);
        s->other_types |= s->places[i].out.storage == HSCHED_STORAGE_ARENA &&
                          s->steps[i].out.dtype != HSCHED_FLOAT32;
    }
    for (uint32_t i = 0; i < ios; i++) {
        int is_input = i < config->input_count;
        uint32_t k = is_input ? i : i - config->input_count;
        s->io_bytes[i] = is_input ? config->input_bytes[k] : config->output_bytes[k];
        s->io_types[i] = is_input ? config->input_types[k] : config->output_types[k];
    }
    return HSCHED_OK;
}

/* Can every step take a batch, and is all of the model here? */
static int find_joinable(const hsched_backend_section *s)
{
    if (s->deterministic || s->max_batch < 2)
        return 0;
    for (uint32_t i = 0; i < s->step_count; i++) {
        hsched_step step;
        if (!s->places[i].here || !hsi_cuda_batch_step(s, i, 2, &step))
            return 0;
    }
    return 1;
}

static hsched_status prepare_entered(hsched_backend_section *s)
{
    hsi_cuda_device *d = s->device;
    hsi_cuda_variant *variant;
    hsched_status status;
    do
        status = hsi_cuda_load_weights(s);
    while (status == HSCHED_ERROR_OUT_OF_MEMORY && hsi_cuda_evict(d));
    /* Without room now the weights come with the first job, which may evict by then; ops do not
     * need them. */
    if (status == HSCHED_ERROR_OUT_OF_MEMORY)
        status = HSCHED_OK;
    if (status == HSCHED_OK)
        status = hsi_cuda_variant_get(s, 1, NULL, &variant);
    if (status == HSCHED_OK && s->weights && !d->memory.limit) {
        hsi_cuda_host->free(s->weights_on_host);
        s->weights_on_host = NULL;
    }
    s->next = d->sections;
    d->sections = s;
    atomic_store(&d->has_work, 1);
    return status;
}

static hsi_cuda_type type_of(hsched_math math)
{
    return math == HSCHED_MATH_FP16   ? HSI_CUDA_F16
           : math == HSCHED_MATH_BF16 ? HSI_CUDA_BF16
                                      : HSI_CUDA_F32;
}

hsched_status hsi_cuda_section_prepare(hsched_backend_device *device,
                                       hsched_section_config *config,
                                       hsched_backend_section **section)
{
    *section = NULL;
    hsched_backend_section *s = HSI_CUDA_NEW(hsched_backend_section);
    if (!s)
        return hsi_cuda_no_memory("a model");
    s->device = device;
    s->step_count = config->step_count;
    s->steps = config->steps;
    s->type = type_of(config->math);
    s->strict = config->math == HSCHED_MATH_STRICT;
    s->deterministic = config->deterministic;
    s->max_batch = config->max_batch;
    s->arena_size = config->arena_size;
    s->input_count = config->input_count;
    s->output_count = config->output_count;
    hsched_status status = copy_arrays(s, config);
    if (status == HSCHED_OK)
        status = hsi_cuda_make_ports(s, config);
    if (status == HSCHED_OK)
        status = hsi_cuda_pack_weights(s, config);
    if (status == HSCHED_OK) {
        s->joinable = find_joinable(s);
        for (uint32_t i = 0; i < s->step_count; i++)
            s->split |= !s->places[i].here || s->places[i].floats;
        status = hsi_cuda_enter(device);
    }
    if (status == HSCHED_OK) {
        s->busy = 1;
        status = prepare_entered(s);
        s->busy = 0;
        hsi_cuda_leave(device);
    }
    for (uint32_t i = 0; i < config->step_count; i++)
        config->steps[i].parts = 1;
    if (status != HSCHED_OK) {
        hsi_cuda_section_destroy(s);
        return status;
    }
    *section = s;
    return HSCHED_OK;
}

static void destroy_entered(hsched_backend_section *s)
{
    hsi_cuda_device *d = s->device;
    while (s->busy > 0)
        hsi_cuda_background_interrupt(d);
    for (hsched_backend_section **at = &d->sections; *at; at = &(*at)->next)
        if (*at == s) {
            *at = s->next;
            break;
        }
    while (s->variants) {
        hsi_cuda_variant *v = s->variants;
        s->variants = v->next;
        hsi_cuda_variant_destroy(s, v);
    }
    for (uint32_t i = 0; i < s->retired_count; i++)
        s->retired[i]->destroy(s->retired[i]);
    hsi_cuda_drop_weights(s);
}

void hsi_cuda_section_destroy(hsched_backend_section *s)
{
    if (!s)
        return;
    hsi_cuda_device *d = s->device;
    pthread_mutex_lock(&d->use);
    hsi_cuda.cuCtxPushCurrent(
        d->context); /* fails on a lost device: nothing to free then */
    destroy_entered(s);
    hsi_cuda_leave(d);
    hsi_cuda_free_ports(s);
    hsi_cuda_host->free(s->retired);
    hsi_cuda_host->free(s->weights_on_host);
    hsi_cuda_host->free(s->constants);
    hsi_cuda_host->free(s->places);
    hsi_cuda_host->free(s->io_bytes);
    hsi_cuda_host->free(s->io_types);
    hsi_cuda_host->free(s);
}

const char *hsi_cuda_kernel_name(const hsched_backend_section *section, uint32_t step)
{
    const hsi_cuda_variant *v = section->variants;
    while (v && v->members != 1)
        v = v->next;
    return v && v->ops[step] ? v->ops[step]->name : "none";
}

uint64_t hsi_cuda_weight_bytes(const hsched_backend_section *section)
{
    return section->weight_bytes;
}

int hsi_cuda_joinable(const hsched_backend_section *section)
{
    return section->joinable;
}
