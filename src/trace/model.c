#include "trace/model.h"

#include <string.h>

#include "base/alloc.h"

static void destroy(hsi_trace_model *model)
{
    hsi_free(model->steps);
    hsi_free(model->sections);
    hsi_free(model->deps);
    hsi_free(model->text);
    hsi_free(model);
}

/* The caller has counted what the names take. */
static const char *copy_text(hsi_trace_model *model, const char *text)
{
    const size_t size = strlen(text) + 1;
    char *copy = model->text + model->text_used;
    if (size > model->text_size - model->text_used)
        return "";
    memcpy(copy, text, size);
    model->text_used += size;
    return copy;
}

hsi_trace_model *hsi_trace_model_create(const hsi_trace_model_size *size,
                                        const char *name)
{
    hsi_trace_model *model = HSI_NEW(hsi_trace_model);
    if (!model)
        return NULL;
    atomic_init(&model->references, 1);
    model->steps = HSI_NEW_ARRAY(hsi_trace_step, size->steps);
    model->sections = HSI_NEW_ARRAY(hsi_trace_section, size->sections);
    model->deps = HSI_NEW_ARRAY(hsi_trace_dep, size->deps);
    model->text = HSI_NEW_ARRAY(char, size->text);
    model->text_size = size->text;
    if (!model->steps || !model->sections || !model->deps || !model->text) {
        destroy(model);
        return NULL;
    }
    model->name = copy_text(model, name);
    return model;
}

void hsi_trace_model_add_step(hsi_trace_model *model, const char *name, const char *kind)
{
    model->steps[model->step_count++] =
        (hsi_trace_step){ .name = copy_text(model, name), .kind = kind };
}

void hsi_trace_model_add_section(hsi_trace_model *model)
{
    model->sections[model->section_count++] =
        (hsi_trace_section){ .first_dep = model->dep_count };
}

void hsi_trace_model_add_dep(hsi_trace_model *model, uint32_t section, uint64_t bytes)
{
    model->deps[model->dep_count++] =
        (hsi_trace_dep){ .section = section, .bytes = bytes };
    model->sections[model->section_count - 1].dep_count++;
}

hsi_trace_model *hsi_trace_model_retain(hsi_trace_model *model)
{
    atomic_fetch_add_explicit(&model->references, 1, memory_order_relaxed);
    return model;
}

void hsi_trace_model_release(hsi_trace_model *model)
{
    /* acq_rel: who frees it sees all that the other holder did with it. */
    if (model &&
        atomic_fetch_sub_explicit(&model->references, 1, memory_order_acq_rel) == 1)
        destroy(model);
}
