/* The few things that all kinds need of CUDA: checked calls, memory that is given back. */
#ifndef TESTS_BENCH_LOADS_GPU_CUH
#define TESTS_BENCH_LOADS_GPU_CUH

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <vector>

/* Ends the program if a call failed, with the call and the cause. */
inline void gpu_ok(cudaError_t result, const char *call)
{
    if (result == cudaSuccess)
        return;
    fprintf(stderr, "gpu_load: %s: %s (%s)\n", call, cudaGetErrorString(result),
            cudaGetErrorName(result));
    exit(1);
}

#define GPU_OK(call) gpu_ok((call), #call)

/* To be called after each launch of a kernel. */
inline void launch_ok(const char *kernel)
{
    gpu_ok(cudaGetLastError(), kernel);
}

/* `count` elements in the GPU's memory. */
template <typename T> class device_array
{
  public:
    explicit device_array(size_t count) : count_(count)
    {
        GPU_OK(cudaMalloc(&data_, count * sizeof(T)));
    }

    device_array(const device_array &) = delete;
    device_array &operator=(const device_array &) = delete;

    ~device_array()
    {
        GPU_OK(cudaFree(data_));
    }

    T *get() const
    {
        return data_;
    }

    /* Some 3e38 in float, 2,139,062,143 in int: no result of any kind. */
    void poison(cudaStream_t stream)
    {
        GPU_OK(cudaMemsetAsync(data_, 0x7f, count_ * sizeof(T), stream));
    }

    /* All elements, from the host's memory, which is free again on return. */
    void write(const T *from, cudaStream_t stream)
    {
        GPU_OK(cudaMemcpyAsync(data_, from, count_ * sizeof(T), cudaMemcpyHostToDevice,
                               stream));
        GPU_OK(cudaStreamSynchronize(stream));
    }

    std::vector<T> read(cudaStream_t stream) const
    {
        std::vector<T> to(count_);
        GPU_OK(cudaMemcpyAsync(to.data(), data_, count_ * sizeof(T),
                               cudaMemcpyDeviceToHost, stream));
        GPU_OK(cudaStreamSynchronize(stream));
        return to;
    }

  private:
    T *data_ = nullptr;
    size_t count_;
};

/* Blocks of `each` that hold `count`. */
inline unsigned blocks_for(size_t count, int each)
{
    return (unsigned)((count + (size_t)each - 1) / (size_t)each);
}

#endif
