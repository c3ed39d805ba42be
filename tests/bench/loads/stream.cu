/*
 * stream: the triad a = b + scale * c over arrays that no cache holds; bound by memory.
 *
 * a, b, c [count]; one thread, one element. An iteration is PASSES passes. The usual size is
 * 3 arrays of 128 MiB, 3.2 GB moved in an iteration.
 */
#include "load.cuh"

namespace
{

enum {
    PASSES = 8,
    BLOCK = 256
};

const float scale = 3;

__global__ void __launch_bounds__(BLOCK)
    triad(float *a, const float *b, const float *c, float factor, int count)
{
    const int i = (int)blockIdx.x * BLOCK + (int)threadIdx.x;
    if (i < count)
        a[i] = b[i] + factor * c[i];
}

class stream_load : public load
{
  public:
    stream_load(int count, cudaStream_t stream)
        : count_(count), a_(count), b_(count), c_(count)
    {
        std::vector<float> b(count), c(count);
        load_triad_inputs(b.data(), c.data(), b.size());
        b_.write(b.data(), stream);
        c_.write(c.data(), stream);
        a_.poison(stream);
        bytes = 12.0 * PASSES * count;
        flops = 2.0 * PASSES * count;
    }

    void run(cudaStream_t stream) override
    {
        for (int pass = 0; pass < PASSES; pass++) {
            triad<<<blocks_for(count_, BLOCK), BLOCK, 0, stream>>>(
                a_.get(), b_.get(), c_.get(), scale, count_);
            launch_ok("triad");
        }
    }

    bool check(cudaStream_t stream) override
    {
        std::vector<float> b(count_), c(count_), a(count_);
        load_triad_inputs(b.data(), c.data(), b.size());
        load_triad(a.data(), b.data(), c.data(), scale, a.size());
        return same_floats("stream: element", a_.read(stream), a, 0, 0);
    }

  private:
    int count_;
    device_array<float> a_, b_, c_;
};

std::unique_ptr<load> create(int size, cudaStream_t stream)
{
    return std::unique_ptr<load>(new stream_load(size, stream));
}

} // namespace

const load_kind stream_kind = { "stream", "elements of each of three arrays", 32 << 20,
                                40 << 20, create };
