#include "common/user_tensor.h"

#include "common/queue_device.h"
#include "common/support.h"

enum {
    DEVICE = 1,
    OFFSET =
        72, /* of the tensor in its buffer: aligned to all elements, and to no more */
    PAGE = 4096
};

static void make_buffer(user_tensor *t, hsched_runtime *rt)
{
    const size_t size = OFFSET + t->bytes + 1;
    void *start = NULL;
    if (t->kind == USER_TENSOR_SHARED) {
        assert_ok(hsched_buffer_create(rt, size, &t->buffer));
        assert_ok(hsched_buffer_map(t->buffer, &start));
    } else if (t->kind == USER_TENSOR_WRAPPED) {
        start = aligned_alloc(PAGE, (size + PAGE - 1) / PAGE * PAGE);
        assert_non_null(start);
        assert_ok(hsched_buffer_wrap(rt, start, size, NULL, NULL, &t->buffer));
    } else if (t->kind == USER_TENSOR_ON_DEVICE) {
        assert_ok(hsched_buffer_create_on(rt, DEVICE, size, &t->buffer));
    }
    t->data = start ? (char *)start + OFFSET : NULL;
}

void user_tensor_make(user_tensor *t, hsched_runtime *rt, user_tensor_kind kind,
                      size_t bytes)
{
    *t = (user_tensor){ .kind = kind, .bytes = bytes };
    if (kind == USER_TENSOR_PLAIN) {
        t->data = malloc(bytes ? bytes : 1);
        assert_non_null(t->data);
    } else {
        make_buffer(t, rt);
    }
    void *nonsense = malloc(bytes ? bytes : 1);
    assert_non_null(nonsense);
    memset(nonsense, 0xff, bytes);
    user_tensor_put(t, nonsense);
    free(nonsense);
}

void user_tensor_free(user_tensor *t)
{
    hsched_buffer_release(t->buffer);
    if (t->kind == USER_TENSOR_PLAIN)
        free(t->data);
    else if (t->kind == USER_TENSOR_WRAPPED)
        free((char *)t->data - OFFSET);
    *t = (user_tensor){ 0 };
}

hsched_binding user_tensor_binding(const user_tensor *t)
{
    if (t->kind == USER_TENSOR_KEPT)
        return (hsched_binding){ .buffer = NULL };
    if (t->kind == USER_TENSOR_PLAIN)
        return (hsched_binding)HSCHED_DATA(t->data, t->bytes);
    return (hsched_binding){ .buffer = t->buffer, .offset = OFFSET };
}

void user_tensor_put(const user_tensor *t, const void *data)
{
    if (t->data)
        memcpy(t->data, data, t->bytes);
    else if (t->buffer)
        queue_device_write(hsched_buffer_device_address(t->buffer) + OFFSET, data,
                           t->bytes);
}

void user_tensor_get(const user_tensor *t, hsched_run *run, uint32_t index, void *data)
{
    if (t->kind == USER_TENSOR_KEPT) {
        const void *kept;
        size_t size;
        assert_ok(hsched_run_output(run, index, &kept, &size));
        assert_int_equal(size, t->bytes);
        memcpy(data, kept, size);
    } else if (t->data) {
        memcpy(data, t->data, t->bytes);
    } else {
        queue_device_read(hsched_buffer_device_address(t->buffer) + OFFSET, data,
                          t->bytes);
    }
}
