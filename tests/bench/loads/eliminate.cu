/*
 * eliminate: Gaussian elimination without pivots, two small kernels for each column, each of
 * which needs the one before.
 *
 * matrix [side][side], diagonally dominant; an iteration copies it and leaves U on and above
 * the diagonal, L's multipliers below. The usual side is 256: 510 launches of at most 256
 * blocks, the last ones of 1.
 */
#include "load.cuh"

namespace
{

enum {
    BLOCK = 128,
    ROWS = 8,
    COLUMNS = 32
};

/* Column k below the diagonal becomes the multipliers; one thread, one row. */
__global__ void __launch_bounds__(BLOCK) divide_column(float *matrix, int side, int k)
{
    const int row = k + 1 + (int)blockIdx.x * BLOCK + (int)threadIdx.x;
    if (row < side)
        matrix[(size_t)row * side + k] /= matrix[(size_t)k * side + k];
}

/* Row k, times the multipliers, is taken from all rows below, right of column k; one thread,
 * one element. */
__global__ void __launch_bounds__(ROWS *COLUMNS)
    subtract_row(float *matrix, int side, int k)
{
    const int row = k + 1 + (int)blockIdx.y * ROWS + (int)threadIdx.y;
    const int column = k + 1 + (int)blockIdx.x * COLUMNS + (int)threadIdx.x;
    if (row < side && column < side)
        matrix[(size_t)row * side + column] -=
            matrix[(size_t)row * side + k] * matrix[(size_t)k * side + column];
}

class eliminate_load : public load
{
  public:
    eliminate_load(int side, cudaStream_t stream)
        : side_(side), cells_((size_t)side * side), matrix_(cells_), factors_(cells_)
    {
        std::vector<float> matrix(cells_);
        load_matrix_inputs(matrix.data(), side);
        matrix_.write(matrix.data(), stream);
        factors_.poison(stream);
        bytes = 8.0 * (double)cells_;
        for (double left = side - 1; left > 0; left--) {
            flops += left + 2 * left * left;
            bytes += 4 * (2 * left + 1) + 4 * (2 * left * left + 2 * left);
        }
    }

    void run(cudaStream_t stream) override
    {
        const dim3 block(COLUMNS, ROWS);
        GPU_OK(cudaMemcpyAsync(factors_.get(), matrix_.get(), cells_ * sizeof(float),
                               cudaMemcpyDeviceToDevice, stream));
        for (int k = 0; k + 1 < side_; k++) {
            const int left = side_ - k - 1;
            const dim3 grid(blocks_for(left, COLUMNS), blocks_for(left, ROWS));
            divide_column<<<blocks_for(left, BLOCK), BLOCK, 0, stream>>>(factors_.get(),
                                                                         side_, k);
            launch_ok("divide_column");
            subtract_row<<<grid, block, 0, stream>>>(factors_.get(), side_, k);
            launch_ok("subtract_row");
        }
    }

    /* Same order as on the CPU, but for products and sums that are rounded at once: the
     * multipliers are about 1 / side, all else about 1, and the diagonal about side. */
    bool check(cudaStream_t stream) override
    {
        std::vector<float> matrix(cells_);
        load_matrix_inputs(matrix.data(), side_);
        load_eliminate(matrix.data(), side_);
        const std::vector<float> factors = factors_.read(stream);
        return same_floats("eliminate: element", factors, matrix, 2e-6f, 2e-6f);
    }

  private:
    int side_;
    size_t cells_;
    device_array<float> matrix_, factors_;
};

std::unique_ptr<load> create(int size, cudaStream_t stream)
{
    return std::unique_ptr<load>(new eliminate_load(size, stream));
}

} // namespace

const load_kind eliminate_kind = { "eliminate", "rows and columns of the matrix", 256,
                                   4096, create };
