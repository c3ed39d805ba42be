/* How tensors lie in memory: strides of views, and what the step kinds demand. */
#include "plan/passes.h"

#include <string.h>

#include "base/tensor.h"

int hsi_reshape_strides(uint32_t rank, const int64_t *dims, const int64_t *strides,
                        uint32_t new_rank, const int64_t *new_dims, int64_t *new_strides)
{
    /* Dimensions of size 1 address nothing. */
    int64_t d[HSCHED_MAX_DIMS], s[HSCHED_MAX_DIMS];
    uint32_t count = 0;
    for (uint32_t i = 0; i < rank; i++)
        if (dims[i] != 1) {
            d[count] = dims[i];
            s[count++] = strides[i];
        }
    /* Groups of old and new dimensions with the same number of elements; a group is a
     * view if its old dimensions follow one another in memory as one long dimension
     * would. */
    uint32_t old_first = 0, new_first = 0;
    while (new_first < new_rank) {
        if (new_dims[new_first] == 1) { /* set below */
            new_first++;
            continue;
        }
        if (old_first >= count)
            return 0;
        uint32_t old_end = old_first + 1, new_end = new_first + 1;
        int64_t old_size = d[old_first], new_size = new_dims[new_first];
        while (old_size != new_size) {
            if (old_size < new_size) {
                if (old_end >= count)
                    return 0;
                old_size *= d[old_end++];
            } else {
                if (new_end >= new_rank)
                    return 0;
                new_size *= new_dims[new_end++];
            }
        }
        for (uint32_t i = old_first; i + 1 < old_end; i++)
            if (s[i] != d[i + 1] * s[i + 1])
                return 0;
        int64_t stride = s[old_end - 1];
        for (uint32_t i = new_end; i-- > new_first;) {
            new_strides[i] = stride;
            stride *= new_dims[i];
        }
        old_first = old_end;
        new_first = new_end;
    }
    if (old_first != count)
        return 0;
    int64_t stride = 1;
    for (uint32_t i = new_rank; i-- > 0;) {
        if (new_dims[i] == 1)
            new_strides[i] = stride;
        else
            stride = new_strides[i] * new_dims[i];
    }
    return 1;
}

int hsi_same_place(const hsi_value *value, const hsi_root *root, int64_t offset,
                   const int64_t *strides)
{
    if (value->root != root || value->offset != offset)
        return 0;
    for (uint32_t i = 0; i < value->rank; i++)
        if (value->dims[i] != 1 && value->strides[i] != strides[i])
            return 0;
    return 1;
}

hsi_demand hsi_demand_of_input(int kind, uint32_t index)
{
    switch (kind) {
    case HSCHED_STEP_CONV2D:
        return index == 0 || index == 3 ? HSI_DEMAND_CHANNELS_LAST : HSI_DEMAND_DENSE;
    case HSCHED_STEP_SEPARABLE_CONV2D:
        return index == 0 || index == 5 ? HSI_DEMAND_CHANNELS_LAST : HSI_DEMAND_DENSE;
    case HSCHED_STEP_POOL2D:
        return HSI_DEMAND_CHANNELS_LAST;
    case HSCHED_STEP_FC:
        return index == 0 ? HSI_DEMAND_ROWS : HSI_DEMAND_DENSE;
    case HSCHED_STEP_IMAGE:
    case HSCHED_STEP_RECURRENT:
        return HSI_DEMAND_DENSE;
    case HSCHED_STEP_SCALE:
        return index == 0 ? HSI_DEMAND_NONE : HSI_DEMAND_DENSE;
    default:
        return HSI_DEMAND_NONE;
    }
}

hsi_demand hsi_demand_of_output(int kind)
{
    switch (kind) {
    case HSCHED_STEP_CONV2D:
    case HSCHED_STEP_SEPARABLE_CONV2D:
    case HSCHED_STEP_POOL2D:
        return HSI_DEMAND_CHANNELS_LAST;
    case HSCHED_STEP_FC:
        return HSI_DEMAND_ROWS;
    case HSCHED_STEP_MATMUL:
        return HSI_DEMAND_MATRICES;
    case HSCHED_STEP_RECURRENT:
        return HSI_DEMAND_DENSE;
    default:
        return HSI_DEMAND_NONE;
    }
}

static int are_rows(const int64_t *dims, const int64_t *strides)
{
    return (dims[1] == 1 || strides[1] == 1) && (dims[0] == 1 || strides[0] >= dims[1]);
}

int hsi_meets(hsi_demand demand, uint32_t rank, const int64_t *dims,
              const int64_t *strides)
{
    int64_t pixel_stride;
    switch (demand) {
    case HSI_DEMAND_NONE:
        break;
    case HSI_DEMAND_CHANNELS_LAST:
        return hsi_is_nhwc(rank, dims, strides, &pixel_stride);
    case HSI_DEMAND_ROWS:
        return rank == 2 && are_rows(dims, strides);
    case HSI_DEMAND_MATRICES:
        return rank >= 2 && are_rows(dims + rank - 2, strides + rank - 2);
    case HSI_DEMAND_DENSE:
        return hsi_is_dense(rank, dims, strides);
    }
    return 1;
}

int hsi_is_packed(int kind, uint32_t index)
{
    switch (kind) {
    case HSCHED_STEP_CONV2D:
    case HSCHED_STEP_FC:
    case HSCHED_STEP_SCALE:
        return index == 1 || index == 2;
    case HSCHED_STEP_RECURRENT:
        return index >= 1 && index <= 3;
    case HSCHED_STEP_SEPARABLE_CONV2D:
        return index >= 1 && index <= 4;
    default:
        return 0;
    }
}

int hsi_view_strides(const hsi_op *op, int64_t offset, const int64_t *strides,
                     int64_t *out_offset, int64_t *out_strides)
{
    const hsi_value *x = op->in[0], *y = op->out;
    *out_offset = offset;
    if (op->kind == HSI_OP_RESHAPE) {
        if (hsi_same_dims(x, y)) {
            if (y->rank > 0)
                memcpy(out_strides, strides, y->rank * sizeof *strides);
            return 1;
        }
        return hsi_reshape_strides(x->rank, x->dims, strides, y->rank, y->dims,
                                   out_strides);
    }
    const uint32_t spatial = x->rank - 2;
    for (uint32_t i = 0; i < y->rank; i++) {
        if (op->kind == HSI_OP_WINDOW) {
            out_strides[i] = i < 2 ? strides[i]
                             : i < 2 + spatial
                                 ? op->starts[i - 2] * strides[i]
                                 : op->steps[i - 2 - spatial] * strides[i - spatial];
        } else if (op->kind == HSI_OP_TRANSPOSE) {
            out_strides[i] = strides[op->perm[i]];
        } else {
            *out_offset += op->starts[i] * strides[i];
            out_strides[i] = op->steps[i] * strides[i];
        }
    }
    return 1;
}

int hsi_view_strides_back(const hsi_op *op, const int64_t *out_strides, int64_t *strides)
{
    const hsi_value *x = op->in[0], *y = op->out;
    if (op->kind == HSI_OP_RESHAPE)
        return hsi_reshape_strides(y->rank, y->dims, out_strides, x->rank, x->dims,
                                   strides);
    if (op->kind != HSI_OP_TRANSPOSE)
        return 0;
    for (uint32_t i = 0; i < y->rank; i++)
        strides[op->perm[i]] = out_strides[i];
    return 1;
}
