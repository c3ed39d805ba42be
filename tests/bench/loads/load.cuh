/* A kind of background program, as gpu_load runs it. */
#ifndef TESTS_BENCH_LOADS_LOAD_CUH
#define TESTS_BENCH_LOADS_LOAD_CUH

#include <memory>

#include "gpu.cuh"
#include "reference.h"

/* One program: its inputs and results are on the GPU as long as it lives. */
class load
{
  public:
    virtual ~load() = default;

    /* One iteration. It begins with the same inputs each time, and its results lie over those
     * of the last. The caller waits for the stream; a kind whose host has to look at something
     * on the way waits, too. */
    virtual void run(cudaStream_t stream) = 0;

    /* Are the results of the last iteration those of the CPU? Prints where they are not. */
    virtual bool check(cudaStream_t stream) = 0;

    /* Of an iteration: what it has to read and write, as if nothing were cached; sums and
     * products of floats. */
    double bytes = 0, flops = 0;
};

struct load_kind {
    const char *name;
    const char *size_is; /* what the size counts */
    int usual, most; /* sizes: about 1 ms on a large GPU; below 512 MiB of its memory */
    std::unique_ptr<load> (*create)(int size, cudaStream_t stream);
};

extern const load_kind stream_kind, walk_kind, stencil_kind, eliminate_kind, bodies_kind,
    paths_kind;

/* ---- Comparing ------------------------------------------------------------ */

inline bool same_floats(const char *what, const std::vector<float> &result,
                        const std::vector<float> &expected, float absolute,
                        float relative)
{
    const size_t count = expected.size();
    const size_t i =
        load_first_wrong(result.data(), expected.data(), count, absolute, relative);
    if (i < count)
        printf("%s %zu of %zu is %.9g on the GPU, %.9g on the CPU\n", what, i, count,
               (double)result[i], (double)expected[i]);
    return i == count;
}

inline bool same_integers(const char *what, const std::vector<int> &result,
                          const std::vector<int> &expected)
{
    const size_t count = expected.size();
    const size_t i = load_first_unequal(result.data(), expected.data(), count);
    if (i < count)
        printf("%s %zu of %zu is %d on the GPU, %d on the CPU\n", what, i, count,
               result[i], expected[i]);
    return i == count;
}

#endif
