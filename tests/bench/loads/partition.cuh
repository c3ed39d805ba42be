/* The part of the GPU that a background program runs on. */
#ifndef TESTS_BENCH_LOADS_PARTITION_CUH
#define TESTS_BENCH_LOADS_PARTITION_CUH

#include <cuda_runtime.h>

/* Some multiprocessors of the first GPU, and a stream on them. There is one at a time, and
 * what is made while it lives is given back before it ends. */
class partition
{
  public:
    /* `wanted` multiprocessors, or as many more as the GPU can only part with together; 0: all,
     * and no green context. Ends the program with a word about it where that cannot be: with
     * status 2 if the GPU has too few, 77 if this driver has no green contexts. */
    explicit partition(int wanted);
    partition(const partition &) = delete;
    partition &operator=(const partition &) = delete;
    ~partition();

    cudaStream_t stream() const
    {
        return stream_;
    }

    int multiprocessors() const
    {
        return multiprocessors_;
    }

  private:
    void confine(int wanted);

    void *green_ = nullptr; /* CUgreenCtx; or NULL: the whole GPU */
    cudaStream_t stream_ = nullptr;
    int multiprocessors_ = 0;
};

#endif
