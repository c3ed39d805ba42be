/*
 * What a trace says about a model: names, and which section needs which. A copy, made when the
 * model is compiled, so that a trace can be written when the model itself is gone, and nothing is
 * allocated while tracing.
 */
#ifndef HSI_TRACE_MODEL_H
#define HSI_TRACE_MODEL_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hsi_trace_step {
    const char *name;
    const char *kind; /* lasts as long as the library */
} hsi_trace_step;

typedef struct hsi_trace_dep {
    uint32_t section; /* that must be done before */
    uint64_t bytes;   /* of the tensors that pass, as the host has them */
} hsi_trace_dep;

typedef struct hsi_trace_section {
    uint32_t first_dep, dep_count; /* into the model's deps */
} hsi_trace_section;

typedef struct hsi_trace_model {
    atomic_int references; /* the model's, and the trace's that has seen it */
    const char *name;
    hsi_trace_step *steps;
    hsi_trace_section *sections;
    hsi_trace_dep *deps;
    uint32_t step_count, section_count, dep_count;
    char *text; /* of the names */
    size_t text_used, text_size;
    /* Of the trace that has seen it; guarded by the scheduler lock. */
    const void *seen_by;
    uint32_t track;
    struct hsi_trace_model *next;
} hsi_trace_model;

typedef struct hsi_trace_model_size {
    uint32_t steps, sections, deps;
    size_t text; /* bytes of all names, their ends included */
} hsi_trace_model_size;

/* Room for so much, filled by the calls below. NULL: out of memory. */
hsi_trace_model *hsi_trace_model_create(const hsi_trace_model_size *size,
                                        const char *name);
void hsi_trace_model_add_step(hsi_trace_model *model, const char *name, const char *kind);
void hsi_trace_model_add_section(hsi_trace_model *model);
/* Of the section that was added last. */
void hsi_trace_model_add_dep(hsi_trace_model *model, uint32_t section, uint64_t bytes);

hsi_trace_model *hsi_trace_model_retain(hsi_trace_model *model);
void hsi_trace_model_release(hsi_trace_model *model); /* NULL: nothing */

#endif
