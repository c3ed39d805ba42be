/*
 * stencil: heat that spreads in a plate with insulated borders, five points, STEPS steps.
 *
 * heat [side][side], three times: the beginning, and two that the steps go back and forth
 * between. One block, ROWS x COLUMNS cells, with the cells around them in shared memory. The
 * usual side is 2048: 16 MiB each, in the second-level cache of the largest GPUs.
 */
#include "load.cuh"

namespace
{

enum {
    STEPS = 96,
    ROWS = 8,
    COLUMNS = 32
};

/* from, to [side][side], not the same. */
__global__ void __launch_bounds__(ROWS *COLUMNS)
    heat_step(const float *from, float *to, int side)
{
    /* [0][0] is up and left of the block's first cell. */
    __shared__ float tile[ROWS + 2][COLUMNS + 2];
    const int first_y = (int)blockIdx.y * ROWS, first_x = (int)blockIdx.x * COLUMNS;
    const int tile_y = (int)threadIdx.y, tile_x = (int)threadIdx.x;
    /* Beyond the border a cell is as warm as the one inside. */
    for (int i = tile_y * COLUMNS + tile_x; i < (ROWS + 2) * (COLUMNS + 2);
         i += ROWS * COLUMNS) {
        const int row = i / (COLUMNS + 2), column = i % (COLUMNS + 2);
        const int y = min(max(first_y + row - 1, 0), side - 1);
        const int x = min(max(first_x + column - 1, 0), side - 1);
        tile[row][column] = from[(size_t)y * side + x];
    }
    __syncthreads();
    const int y = first_y + tile_y, x = first_x + tile_x;
    if (y >= side || x >= side)
        return;
    const float cell = tile[tile_y + 1][tile_x + 1];
    const float flow = tile[tile_y + 1][tile_x] + tile[tile_y + 1][tile_x + 2] +
                       tile[tile_y][tile_x + 1] + tile[tile_y + 2][tile_x + 1] - 4 * cell;
    to[(size_t)y * side + x] = cell + LOAD_HEAT_RATE * flow;
}

class stencil_load : public load
{
  public:
    stencil_load(int side, cudaStream_t stream)
        : side_(side), cells_((size_t)side * side), begin_(cells_), even_(cells_),
          odd_(cells_)
    {
        std::vector<float> heat(cells_);
        load_heat_inputs(heat.data(), side);
        begin_.write(heat.data(), stream);
        even_.poison(stream);
        odd_.poison(stream);
        bytes = 8.0 * STEPS * (double)cells_;
        flops = 7.0 * STEPS * (double)cells_;
    }

    void run(cudaStream_t stream) override
    {
        const dim3 grid(blocks_for(side_, COLUMNS), blocks_for(side_, ROWS));
        const dim3 block(COLUMNS, ROWS);
        const float *from = begin_.get();
        for (int step = 0; step < STEPS; step++) {
            float *to = step % 2 ? odd_.get() : even_.get();
            heat_step<<<grid, block, 0, stream>>>(from, to, side_);
            launch_ok("heat_step");
            from = to;
        }
    }

    /* The GPU may round a product and a sum at once; steps even such differences out, so they
     * stay at some roundings of 100. */
    bool check(cudaStream_t stream) override
    {
        static_assert(STEPS % 2 == 0, "the last step writes the odd one");
        std::vector<float> heat(cells_), next(cells_);
        load_heat_inputs(heat.data(), side_);
        for (int step = 0; step < STEPS; step++) {
            load_heat_step(heat.data(), next.data(), side_);
            heat.swap(next);
        }
        return same_floats("stencil: cell", odd_.read(stream), heat, 1e-4f, 0);
    }

  private:
    int side_;
    size_t cells_;
    device_array<float> begin_, even_, odd_;
};

std::unique_ptr<load> create(int size, cudaStream_t stream)
{
    return std::unique_ptr<load>(new stencil_load(size, stream));
}

} // namespace

const load_kind stencil_kind = { "stencil", "cells on each side of the plate", 2048, 6144,
                                 create };
