#include "gpu/gpu_runtime.h"

#include "backend/cuda/api.h"
#include "common/support.h"

hsched_runtime *gpu_runtime_open(const hsched_runtime_config *config)
{
    hsched_runtime_config used = { HSCHED_RUNTIME_CONFIG_INIT };
    hsched_runtime *rt;
    if (config)
        used = *config;
    if (used.gpu_tuning == HSCHED_GPU_TUNING_DEFAULT)
        used.gpu_tuning = HSCHED_GPU_TUNING_NONE;
    used.cache_dir = used.cache_dir ? used.cache_dir : "/tmp/hsched-test-cache";
    /* These tests are about the GPU, whatever the cost cache says would be faster. */
    if (used.policy == HSCHED_POLICY_DEFAULT && !used.policy_plugin)
        used.policy = HSCHED_POLICY_GPU_ONLY;
    hsched_status status = hsched_runtime_create(&used, &rt);
    if (status == HSCHED_ERROR_NOT_FOUND) {
        print_message("# SKIP: %s\n", hsched_error_detail());
        skip();
    }
    assert_ok(status);
    if (hsched_runtime_device_count(rt) < 2) {
        hsched_backend_info info = { HSCHED_BACKEND_INFO_INIT };
        for (uint32_t i = 0; hsched_backend_get_info(i, &info) == HSCHED_OK; i++)
            if (strcmp(info.name, "cuda") == 0)
                print_message("# SKIP: %s\n", info.detail);
        hsched_runtime_destroy(rt);
        skip();
    }
    return rt;
}

/* ---- Memory of users ------------------------------------------------------ */

void user_memory_create(user_memory *memory, hsched_runtime *runtime,
                        user_memory_kind kind, size_t size)
{
    void *data = NULL;
    *memory = (user_memory){ .kind = kind, .size = size, .used = size };
    memory->image = malloc(size);
    memory->held = malloc(size);
    assert_true(memory->image && memory->held);
    if (kind == USER_MEMORY_PLAIN || kind == USER_MEMORY_WRAPPED) {
        data = aligned_alloc(4096, size);
        assert_non_null(data);
    }
    if (kind == USER_MEMORY_WRAPPED)
        assert_ok(hsched_buffer_wrap(runtime, data, size, NULL, NULL, &memory->buffer));
    if (kind == USER_MEMORY_SHARED) {
        assert_ok(hsched_buffer_create(runtime, size, &memory->buffer));
        assert_ok(hsched_buffer_map(memory->buffer, &data));
    }
    if (kind == USER_MEMORY_ON_GPU)
        assert_ok(hsched_buffer_create_on(runtime, GPU, size, &memory->buffer));
    memory->data = data;
    user_memory_clear(memory);
}

void user_memory_destroy(user_memory *memory)
{
    hsched_buffer_release(memory->buffer);
    if (memory->kind == USER_MEMORY_PLAIN || memory->kind == USER_MEMORY_WRAPPED)
        free(memory->data);
    free(memory->image);
    free(memory->held);
}

void user_memory_clear(user_memory *memory)
{
    memset(memory->image, 0xff, memory->used);
    memory->used = 0;
}

size_t user_memory_place(user_memory *memory, size_t bytes, size_t residue)
{
    /* 64 bytes of nothing at least between two tensors, and behind the last. */
    const size_t at = (memory->used + 255) / 256 * 256 + residue;
    assert_true(at + bytes + 64 <= memory->size);
    memory->used = at + bytes + 64;
    return at;
}

hsched_binding user_memory_binding(const user_memory *memory, size_t at, size_t bytes)
{
    return memory->buffer ? (hsched_binding){ .buffer = memory->buffer, .offset = at }
                          : (hsched_binding)HSCHED_DATA(memory->data + at, bytes);
}

/* To or from the memory of the first GPU, all calls past the table's faults. */
static void copy_on_gpu(user_memory *memory, int send)
{
    const CUdeviceptr address = hsched_buffer_device_address(memory->buffer);
    CUdevice device;
    CUcontext context;
    CUresult result;
    assert_int_equal(hsi_cuda.cuDeviceGet(&device, 0), CUDA_SUCCESS);
    assert_int_equal(hsi_cuda.cuDevicePrimaryCtxRetain(&context, device), CUDA_SUCCESS);
    assert_int_equal(hsi_cuda.cuCtxPushCurrent(context), CUDA_SUCCESS);
    if (send)
        result = hsi_cuda.cuMemcpyHtoD(address, memory->image, memory->used);
    else
        result = hsi_cuda.cuMemcpyDtoH(memory->held, address, memory->used);
    assert_int_equal(result, CUDA_SUCCESS);
    /* A small copy to the GPU may return before it has ended, and the library's streams do
     * not wait for it. */
    assert_int_equal(hsi_cuda.cuStreamSynchronize(NULL), CUDA_SUCCESS);
    hsi_cuda.cuCtxPopCurrent(&context);
    hsi_cuda.cuDevicePrimaryCtxRelease(device);
}

void user_memory_send(user_memory *memory)
{
    if (memory->used == 0)
        return;
    if (memory->data)
        memcpy(memory->data, memory->image, memory->used);
    else
        copy_on_gpu(memory, 1);
}

void user_memory_fetch(user_memory *memory)
{
    if (memory->used == 0)
        return;
    if (memory->data)
        memcpy(memory->held, memory->data, memory->used);
    else
        copy_on_gpu(memory, 0);
}
