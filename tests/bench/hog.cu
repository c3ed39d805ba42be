/*
 * Another process on the same GPU, as a benchmark meets it: keeps all multiprocessors busy
 * for a share of every period, until it is ended.
 *
 *     hog SHARE PERIOD_US       e.g. hog 0.6 2000; prints "ready" once it runs, and a line of
 *                               JSON at the end, which SIGTERM asks for
 */
#include <cuda_runtime.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "background.h"

/* Grid: enough blocks of 1024 threads to fill every multiprocessor; no memory is touched. */
__global__ void keep_busy(unsigned long long nanoseconds)
{
    unsigned long long begin, now;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(begin));
    do {
        asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
    } while (now - begin < nanoseconds);
}

static int blocks_to_fill()
{
    int device = 0, multiprocessors = 0, threads = 0;
    if (cudaGetDevice(&device) != cudaSuccess ||
        cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount,
                               device) != cudaSuccess ||
        cudaDeviceGetAttribute(&threads, cudaDevAttrMaxThreadsPerMultiProcessor,
                               device) != cudaSuccess)
        return 0;
    return multiprocessors * (threads / 1024);
}

static background_times times;

/* One period after the other; 0 once it is ended, 1 if a call failed. */
static int keep_a_share(double share, double period_us)
{
    using clock = std::chrono::steady_clock;
    const int blocks = blocks_to_fill();
    const auto period = std::chrono::nanoseconds(static_cast<long long>(period_us * 1e3));
    const auto busy = static_cast<unsigned long long>(share * period_us * 1e3);
    auto next = clock::now();
    for (bool first = true; !background_ended; first = false) {
        const double begin_us = background_us();
        if (blocks > 0)
            keep_busy<<<blocks, 1024>>>(busy);
        if (blocks == 0 || cudaPeekAtLastError() != cudaSuccess ||
            cudaDeviceSynchronize() != cudaSuccess)
            return 1;
        if (first) {
            background_ready();
            next = clock::now();
        } else {
            background_add(&times, begin_us, background_us());
        }
        /* Where the GPU was not to be had in time, the next period begins at once. */
        next += period;
        if (next < clock::now())
            next = clock::now();
        std::this_thread::sleep_until(next);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const double share = argc == 3 ? atof(argv[1]) : 0;
    const double period_us = argc == 3 ? atof(argv[2]) : 0;
    if (!(share > 0 && share < 1 && period_us >= 100)) {
        fprintf(stderr,
                "usage: hog SHARE PERIOD_US, with 0 < SHARE < 1, PERIOD_US >= 100\n");
        return 2;
    }
    background_begin();
    if (keep_a_share(share, period_us)) {
        fprintf(stderr, "hog: %s\n", cudaGetErrorString(cudaGetLastError()));
        return 1;
    }
    printf("{\"kind\": \"hog\", \"share\": %g, \"period_us\": %g, ", share, period_us);
    background_print(&times);
    puts("}");
    return 0;
}
