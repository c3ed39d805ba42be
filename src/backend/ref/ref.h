/*
 * The reference kernels, one function per step kind; hsi_ref_run (ref.c) checks the step
 * and calls them. They read every operand through its logical index and strides, so no
 * layout is special, and compute in double. inputs[i] is NULL for an absent operand and
 * never for a present one.
 */
#ifndef HSI_BACKEND_REF_REF_H
#define HSI_BACKEND_REF_REF_H

#include <hsched/backend.h>

/* What in the step breaks the contract of hsched/backend.h, as a text for people; NULL if
 * nothing does. Shapes and types only: the reference kernels take any strides. Any
 * thread. */
const char *hsi_ref_fault(const hsched_step *step);

double hsi_ref_activate(hsched_activation act, double x);

void hsi_ref_conv2d(const hsched_step *step, const void *const *inputs, void *out);
void hsi_ref_separable_conv2d(const hsched_step *step, const void *const *inputs,
                              void *out);
void hsi_ref_fc(const hsched_step *step, const void *const *inputs, void *out);
void hsi_ref_matmul(const hsched_step *step, const void *const *inputs, void *out);
void hsi_ref_pool2d(const hsched_step *step, const void *const *inputs, void *out);
void hsi_ref_pool_index(const hsched_step *step, const void *const *inputs, void *out);
void hsi_ref_rotary(const hsched_step *step, const void *const *inputs, void *out);
void hsi_ref_scale(const hsched_step *step, const void *const *inputs, void *out);
void hsi_ref_lrn(const hsched_step *step, const void *const *inputs, void *out);
void hsi_ref_softmax(const hsched_step *step, const void *const *inputs, void *out);
void hsi_ref_norm(const hsched_step *step, const void *const *inputs, void *out);
void hsi_ref_unary(const hsched_step *step, const void *const *inputs, void *out);
void hsi_ref_binary(const hsched_step *step, const void *const *inputs, void *out);
void hsi_ref_copy(const hsched_step *step, const void *const *inputs, void *out);
void hsi_ref_pad(const hsched_step *step, const void *const *inputs, void *out);
/* What a PAD's constant is in the output's type: at most 8 bytes. */
void hsi_ref_pad_value(const hsched_step *step, char *bytes);
void hsi_ref_reduce(const hsched_step *step, const void *const *inputs, void *out);
void hsi_ref_resize(const hsched_step *step, const void *const *inputs, void *out);
void hsi_ref_grid_sample(const hsched_step *step, const void *const *inputs, void *out);
void hsi_ref_roi_align(const hsched_step *step, const void *const *inputs, void *out);
void hsi_ref_nms(const hsched_step *step, const void *const *inputs, void *out);
void hsi_ref_cast(const hsched_step *step, const void *const *inputs, void *out);
void hsi_ref_where(const hsched_step *step, const void *const *inputs, void *out);
void hsi_ref_gather(const hsched_step *step, const void *const *inputs, void *out);
void hsi_ref_arg(const hsched_step *step, const void *const *inputs, void *out);
void hsi_ref_top_k(const hsched_step *step, const void *const *inputs, void *out);
void hsi_ref_tuple_index(const hsched_step *step, const void *const *inputs, void *out);
void hsi_ref_scatter(const hsched_step *step, const void *const *inputs, void *out);
void hsi_ref_cumsum(const hsched_step *step, const void *const *inputs, void *out);
void hsi_ref_image(const hsched_step *step, const void *const *inputs, void *out);
void hsi_ref_recurrent(const hsched_step *step, const void *const *inputs, void *out);

/* 1 if operand i is in use and present. */
static inline int hsi_ref_has(const hsched_step *step, uint32_t i)
{
    return i < step->input_count && step->in[i].dtype != HSCHED_DTYPE_NONE;
}

/* Where the element at `index` (op->rank entries) lies, in elements from the first one.
 */
static inline int64_t hsi_ref_offset(const hsched_operand *op, const int64_t *index)
{
    int64_t offset = 0;
    for (uint32_t d = 0; d < op->rank; d++)
        offset += index[d] * op->strides[d];
    return offset;
}

static inline int64_t hsi_ref_offset4(const hsched_operand *op, int64_t n, int64_t c,
                                      int64_t h, int64_t w)
{
    return n * op->strides[0] + c * op->strides[1] + h * op->strides[2] +
           w * op->strides[3];
}

/* Steps `index` to the next element of a non-empty shape in row-major order; 0 after the
 * last. All loops over any shape are: int64_t i[HSCHED_MAX_DIMS] = { 0 }; do { ... }
 * while (next). */
static inline int hsi_ref_next(uint32_t rank, const int64_t *dims, int64_t *index)
{
    for (uint32_t d = rank; d-- > 0;) {
        if (++index[d] < dims[d])
            return 1;
        index[d] = 0;
    }
    return 0;
}

#endif
