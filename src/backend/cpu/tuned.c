#include "backend/cpu/tuned.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/cpu/bf16.h"
#include "backend/cpu/fc.h"
#include "backend/cpu/matmul.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/status.h"

/* More weights are packed by one kernel only: several copies would not fit everywhere. */
#define MOST_WEIGHTS ((size_t)256 << 20)

struct hsi_cpu_tuned {
    hsi_cpu_tuned *next;
    uint32_t users;
    char *folder; /* or NULL */
    char *device;
    hsi_tune_cache *cache;
    pthread_mutex_t measuring;
    atomic_int unsaved; /* saving failed, which was said */
};

static pthread_mutex_t all_mutex = PTHREAD_MUTEX_INITIALIZER;
static hsi_cpu_tuned *all;

static void destroy(hsi_cpu_tuned *tuned)
{
    hsi_tune_cache_close(tuned->cache);
    pthread_mutex_destroy(&tuned->measuring);
    hsi_free(tuned->folder);
    hsi_free(tuned->device);
    hsi_free(tuned);
}

static hsched_status create(const char *folder, const char *device, hsi_cpu_tuned **tuned)
{
    hsi_cpu_tuned *made = HSI_NEW(hsi_cpu_tuned);
    if (!made)
        return hsi_out_of_memory("choices of kernels");
    pthread_mutex_init(&made->measuring, NULL);
    made->users = 1;
    made->device = hsi_strdup(device);
    made->folder = folder ? hsi_strdup(folder) : NULL;
    const hsi_tune_cache_config config = {
        .host = &hsi_backend_host, .kind = "cpu", .folder = folder, .device_key = device
    };
    hsched_status status = made->device && (made->folder || !folder)
                               ? hsi_tune_cache_open(&config, &made->cache)
                               : hsi_out_of_memory("choices of kernels");
    if (status != HSCHED_OK) {
        destroy(made);
        return status;
    }
    *tuned = made;
    return HSCHED_OK;
}

static int is_for(const hsi_cpu_tuned *tuned, const char *folder, const char *device)
{
    return !strcmp(tuned->device, device) && !tuned->folder == !folder &&
           (!folder || !strcmp(tuned->folder, folder));
}

hsched_status hsi_cpu_tuned_open(const char *folder, const char *device,
                                 hsi_cpu_tuned **tuned)
{
    hsched_status status = HSCHED_OK;
    pthread_mutex_lock(&all_mutex);
    hsi_cpu_tuned *found = all;
    while (found && !is_for(found, folder, device))
        found = found->next;
    if (found) {
        found->users++;
    } else {
        status = create(folder, device, &found);
        if (status == HSCHED_OK) {
            found->next = all;
            all = found;
        }
    }
    pthread_mutex_unlock(&all_mutex);
    *tuned = found;
    return status;
}

void hsi_cpu_tuned_close(hsi_cpu_tuned *tuned)
{
    if (!tuned)
        return;
    pthread_mutex_lock(&all_mutex);
    if (--tuned->users == 0) {
        hsi_cpu_tuned **at = &all;
        while (*at != tuned)
            at = &(*at)->next;
        *at = tuned->next;
        destroy(tuned);
    }
    pthread_mutex_unlock(&all_mutex);
}

const char *hsi_cpu_tuned_folder(const hsi_cpu_tuned *tuned)
{
    return hsi_tune_cache_folder(tuned->cache);
}

void hsi_cpu_tuned_save(hsi_cpu_tuned *tuned)
{
    if (!atomic_load(&tuned->unsaved) && hsi_tune_cache_save(tuned->cache) != HSCHED_OK &&
        !atomic_exchange(&tuned->unsaved, 1))
        hsi_log(HSCHED_LOG_WARNING, "choices of CPU kernels cannot be saved: %s",
                hsched_error_detail());
}

void hsi_cpu_tuned_lock(hsi_cpu_tuned *tuned)
{
    pthread_mutex_lock(&tuned->measuring);
}

void hsi_cpu_tuned_unlock(hsi_cpu_tuned *tuned)
{
    pthread_mutex_unlock(&tuned->measuring);
}

static int conv2d_key(const hsched_step *step, char *text)
{
    const hsched_operand *x = &step->in[0], *weights = &step->in[1], *y = &step->out;
    const int64_t *pads = step->u.conv2d.pads, *strides = step->u.conv2d.strides,
                  *dilations = step->u.conv2d.dilations;
    char residual[32] = "";
    if (step->out_aliases == 3)
        snprintf(residual, sizeof residual, ":sum");
    else if (step->input_count > 3 && step->in[3].dtype != HSCHED_DTYPE_NONE)
        snprintf(residual, sizeof residual, ":r%" PRId64, step->in[3].strides[3]);
    return snprintf(text, HSI_TUNE_STEP_KEY,
                    "conv2d:x%" PRId64 "x%" PRId64 "x%" PRId64 "x%" PRId64 "/%" PRId64
                    ":y%" PRId64 "/%" PRId64 ":k%" PRId64 "x%" PRId64 ":s%" PRId64
                    ",%" PRId64 ":p%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64
                    ":d%" PRId64 ",%" PRId64 ":g%" PRId64 ":a%d%s",
                    x->dims[0], x->dims[1], x->dims[2], x->dims[3], x->strides[3],
                    y->dims[1], y->strides[3], weights->dims[2], weights->dims[3],
                    strides[0], strides[1], pads[0], pads[1], pads[2], pads[3],
                    dilations[0], dilations[1], step->u.conv2d.groups,
                    (int)step->act.kind, residual);
}

static int fc_key(const hsched_step *step, char *text)
{
    const hsched_operand *x = &step->in[0], *y = &step->out;
    const int single = x->dims[0] == 1;
    return snprintf(text, HSI_TUNE_STEP_KEY,
                    "fc:x%" PRId64 "x%" PRId64 "/%" PRId64 ":y%" PRId64 "/%" PRId64
                    ":a%d%s",
                    x->dims[0], x->dims[1], single ? 0 : x->strides[0], y->dims[1],
                    single ? 0 : y->strides[0], (int)step->act.kind,
                    step->input_count > 2 && step->in[2].constant ? ":b" : "");
}

static int matmul_key(const hsched_step *step, char *text)
{
    hsi_matmul of;
    if (step->out.dtype != HSCHED_FLOAT32 || !hsi_matmul_read(step, &of))
        return 0;
    int shared = 1; /* one b for all of the batch */
    for (uint32_t i = 0; i < of.batch_rank; i++)
        shared &= of.b_strides[i] == 0 || of.batch_dims[i] == 1;
    return snprintf(text, HSI_TUNE_STEP_KEY,
                    "matmul:%" PRId64 "x%" PRId64 "x%" PRId64 "x%" PRId64 ":l%" PRId64
                    ",%" PRId64 ":r%" PRId64 ",%" PRId64 ":y%" PRId64 ":a%d%s",
                    of.batch, of.m, of.k, of.n, of.a_row, of.a_column, of.b_row,
                    of.b_column, of.out_row, (int)step->act.kind, shared ? ":one" : "");
}

/* Math that changes which kernels there are for the kind. */
static const char *mark_of(hsched_step_kind kind, hsched_math math)
{
    if (math == HSCHED_MATH_BF16 && hsi_cpu_has_bf16())
        return ":bf16";
    return math == HSCHED_MATH_STRICT && kind == HSCHED_STEP_CONV2D ? ":strict" : "";
}

/* Tensors like its operands can be made. */
static int has_spans(const hsched_step *step)
{
    for (uint32_t i = 0; i < step->input_count; i++)
        if (step->in[i].dtype != HSCHED_DTYPE_NONE &&
            hsi_cpu_operand_span(&step->in[i]) == 0)
            return 0;
    return hsi_cpu_operand_span(&step->out) > 0;
}

int hsi_cpu_tuned_key(const hsched_step *step, hsched_math math, char *text)
{
    const hsched_step_kind kind = step->kind;
    int length = 0;
    if (kind != HSCHED_STEP_CONV2D && kind != HSCHED_STEP_FC &&
        kind != HSCHED_STEP_MATMUL)
        return 0;
    const size_t weights = hsi_cpu_operand_span(&step->in[1]);
    if (!has_spans(step) || weights > MOST_WEIGHTS ||
        (kind != HSCHED_STEP_MATMUL && !step->in[1].constant))
        return 0;
    if (kind == HSCHED_STEP_CONV2D)
        length = conv2d_key(step, text);
    else if (kind == HSCHED_STEP_MATMUL)
        length = matmul_key(step, text);
    else if (!hsi_fc_waits_for_weights(step))
        length = fc_key(step, text);
    if (length <= 0 || length >= HSI_TUNE_STEP_KEY)
        return 0;
    const int left = HSI_TUNE_STEP_KEY - length;
    return snprintf(text + length, (size_t)left, "%s%s", mark_of(kind, math),
                    step->in[0].levels.step != 0 ? ":levels" : "") < left;
}

int hsi_cpu_tuned_get(hsi_cpu_tuned *tuned, const char *key, char *name)
{
    float us;
    int full;
    return hsi_tune_cache_get(tuned->cache, key, name, &us, &full);
}

void hsi_cpu_tuned_put(hsi_cpu_tuned *tuned, const char *key, const char *name, double us)
{
    hsi_tune_cache_put(tuned->cache, key, name, (float)us, 1);
}
