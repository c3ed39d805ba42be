/* Values, operations and the memory they stand in. */
#include "plan/passes.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"
#include "base/tensor.h"

/* ---- Pools ---------------------------------------------------------------- */

struct hsi_pool_block {
    hsi_pool_block *next;
    size_t used, size; /* of what follows the header */
};

enum {
    POOL_HEADER = 64, /* keeps what follows aligned to 64 bytes */
    POOL_CHUNK = 1 << 16,
    POOL_LARGE = 1 << 12
};

static hsi_pool_block *new_block(size_t size)
{
    size_t bytes;
    if (!hsi_add_size(size, POOL_HEADER, &bytes))
        return NULL;
    hsi_pool_block *block = hsi_alloc_aligned(bytes);
    if (block != NULL)
        block->size = size;
    return block;
}

void *hsi_pool_alloc(hsi_pool *pool, size_t count, size_t size)
{
    size_t bytes;
    if (!hsi_mul_size(count, size, &bytes) || !hsi_round_up_size(bytes, 16, &bytes))
        return NULL;
    if (bytes >= POOL_LARGE) {
        hsi_pool_block *block = new_block(bytes);
        if (block == NULL)
            return NULL;
        block->used = bytes;
        /* Behind the block that is being filled, which stays first. */
        hsi_pool_block **link =
            pool->blocks != NULL ? &pool->blocks->next : &pool->blocks;
        block->next = *link;
        *link = block;
        return (char *)block + POOL_HEADER;
    }
    if (pool->blocks == NULL || pool->blocks->size - pool->blocks->used < bytes) {
        hsi_pool_block *block = new_block(POOL_CHUNK);
        if (block == NULL)
            return NULL;
        block->next = pool->blocks;
        pool->blocks = block;
    }
    void *result = (char *)pool->blocks + POOL_HEADER + pool->blocks->used;
    pool->blocks->used += bytes;
    return result;
}

char *hsi_pool_strdup(hsi_pool *pool, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = hsi_pool_alloc(pool, size, 1);
    if (copy != NULL)
        memcpy(copy, text, size);
    return copy;
}

void hsi_pool_free(hsi_pool *pool)
{
    while (pool->blocks != NULL) {
        hsi_pool_block *next = pool->blocks->next;
        hsi_free(pool->blocks);
        pool->blocks = next;
    }
}

/* ---- Values --------------------------------------------------------------- */

hsched_status hsi_ir_no_memory(void)
{
    return hsi_out_of_memory("compiling a model");
}

hsi_value *hsi_ir_value(hsi_ir *ir, hsched_dtype dtype, uint32_t rank,
                        const int64_t *dims)
{
    hsi_value *value = HSI_POOL_ARRAY(&ir->temporary, hsi_value, 1);
    if (value == NULL)
        return NULL;
    value->tensor = HSCHED_NO_TENSOR;
    value->dtype = dtype;
    value->rank = rank;
    if (rank > 0)
        memcpy(value->dims, dims, rank * sizeof *dims);
    return value;
}

hsi_root *hsi_ir_root(hsi_ir *ir, hsched_storage storage, size_t bytes)
{
    hsi_root *root = HSI_POOL_ARRAY(&ir->temporary, hsi_root, 1);
    if (root == NULL)
        return NULL;
    root->storage = storage;
    root->bytes = bytes;
    return root;
}

hsi_value *hsi_ir_constant(hsi_ir *ir, hsched_dtype dtype, uint32_t rank,
                           const int64_t *dims, const void *data)
{
    size_t bytes;
    if (!hsi_byte_size(dtype, rank, dims, &bytes))
        return NULL;
    hsi_value *value = hsi_ir_value(ir, dtype, rank, dims);
    hsi_root *root = hsi_ir_root(ir, HSCHED_STORAGE_CONSTANT, bytes);
    if (value == NULL || root == NULL)
        return NULL;
    root->data = data;
    value->data = data;
    value->root = root;
    hsi_dense_strides(rank, dims, value->strides);
    return value;
}

hsi_value *hsi_ir_weights(hsi_ir *ir, uint32_t rank, const int64_t *dims, float **data)
{
    size_t count;
    *data = NULL;
    if (!hsi_element_count(rank, dims, &count))
        return NULL;
    *data = HSI_POOL_ARRAY(&ir->memory->weights, float, count);
    if (*data == NULL)
        return NULL;
    return hsi_ir_constant(ir, HSCHED_FLOAT32, rank, dims, *data);
}

hsched_status hsi_ir_own_root(hsi_ir *ir, hsi_value *value)
{
    size_t bytes;
    if (!hsi_byte_size(value->dtype, value->rank, value->dims, &bytes))
        return hsi_error(HSCHED_ERROR_LIMIT,
                         "a tensor of shape %s inside the model is too large for this "
                         "machine; make the network's input smaller",
                         hsi_shape_text(value->rank, value->dims));
    value->root = hsi_ir_root(ir, HSCHED_STORAGE_ARENA, bytes);
    if (value->root == NULL)
        return hsi_ir_no_memory();
    value->offset = 0;
    if (value->channels_last)
        hsi_nhwc_strides(value->dims, value->dims[1], value->strides);
    else
        hsi_dense_strides(value->rank, value->dims, value->strides);
    return HSCHED_OK;
}

int hsi_same_dims(const hsi_value *a, const hsi_value *b)
{
    return a->rank == b->rank &&
           (a->rank == 0 || memcmp(a->dims, b->dims, a->rank * sizeof a->dims[0]) == 0);
}

/* ---- Operations ----------------------------------------------------------- */

int hsi_is_step(const hsi_op *op)
{
    return op->kind < HSI_OP_RESHAPE;
}

int hsi_is_view(const hsi_op *op)
{
    return op->kind >= HSI_OP_RESHAPE && op->kind <= HSI_OP_WINDOW;
}

hsi_op *hsi_ir_op(hsi_ir *ir, int kind, const char *name, uint32_t in_count,
                  hsi_value *out)
{
    hsi_op *op = HSI_POOL_ARRAY(&ir->temporary, hsi_op, 1);
    if (op == NULL)
        return NULL;
    op->kind = kind;
    op->name = name;
    op->tensor = HSCHED_NO_TENSOR;
    op->in_count = in_count;
    op->out_aliases = -1;
    uint32_t room = in_count > HSCHED_STEP_MAX_INPUTS ? in_count : HSCHED_STEP_MAX_INPUTS;
    op->in = HSI_POOL_ARRAY(&ir->temporary, hsi_value *, room);
    if (op->in == NULL)
        return NULL;
    op->out = out;
    out->producer = op;
    return op;
}

void hsi_ir_insert_before(hsi_ir *ir, hsi_op *op, hsi_op *before)
{
    op->next = before;
    op->previous = before != NULL ? before->previous : ir->last;
    *(op->previous != NULL ? &op->previous->next : &ir->first) = op;
    *(before != NULL ? &before->previous : &ir->last) = op;
}

void hsi_ir_remove(hsi_ir *ir, hsi_op *op)
{
    *(op->previous != NULL ? &op->previous->next : &ir->first) = op->next;
    *(op->next != NULL ? &op->next->previous : &ir->last) = op->previous;
    op->next = op->previous = NULL;
}

const char *hsi_ir_join_names(hsi_ir *ir, const char *a, const char *b)
{
    size_t a_length = strlen(a), b_size = strlen(b) + 1;
    char *name = hsi_pool_alloc(&ir->temporary, a_length + 1 + b_size, 1);
    if (name == NULL)
        return NULL;
    memcpy(name, a, a_length);
    name[a_length] = '+';
    memcpy(name + a_length + 1, b, b_size);
    return name;
}

void hsi_ir_number(hsi_ir *ir)
{
    uint32_t position = 0;
    for (hsi_op *op = ir->first; op != NULL; op = op->next)
        op->position = position++;
}

hsi_value *hsi_ir_insert_copy(hsi_ir *ir, hsi_op *before, hsi_value *from)
{
    static const char suffix[] = ":copy";
    size_t length = strlen(before->name);
    char *name = hsi_pool_alloc(&ir->temporary, length + sizeof suffix, 1);
    hsi_value *to = hsi_ir_value(ir, from->dtype, from->rank, from->dims);
    hsi_op *op =
        name != NULL && to != NULL ? hsi_ir_op(ir, HSCHED_STEP_COPY, name, 1, to) : NULL;
    if (op == NULL)
        return NULL;
    memcpy(name, before->name, length);
    memcpy(name + length, suffix, sizeof suffix);
    op->in[0] = from;
    to->levels = from->levels;
    hsi_ir_insert_before(ir, op, before);
    return to;
}

hsched_status hsi_ir_link_users(hsi_ir *ir)
{
    for (hsi_op *op = ir->first; op != NULL; op = op->next) {
        op->out->user_count = 0;
        op->out->users = NULL;
        for (uint32_t i = 0; i < op->in_count; i++)
            if (op->in[i] != NULL) {
                op->in[i]->user_count = 0;
                op->in[i]->users = NULL;
            }
    }
    for (hsi_op *op = ir->first; op != NULL; op = op->next)
        for (uint32_t i = 0; i < op->in_count; i++)
            if (op->in[i] != NULL)
                op->in[i]->user_count++;
    for (hsi_op *op = ir->first; op != NULL; op = op->next)
        for (uint32_t i = 0; i < op->in_count; i++) {
            hsi_value *value = op->in[i];
            if (value == NULL)
                continue;
            if (value->users == NULL) {
                value->users =
                    HSI_POOL_ARRAY(&ir->temporary, hsi_op *, value->user_count);
                if (value->users == NULL)
                    return hsi_ir_no_memory();
                value->user_count = 0;
            }
            value->users[value->user_count++] = op;
        }
    return HSCHED_OK;
}
