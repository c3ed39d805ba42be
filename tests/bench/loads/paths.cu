/*
 * paths: the best alignment of two sequences, tile by tile along anti-diagonals, and cell by
 * cell along those of each tile.
 *
 * score [size + 1][size + 1], of which row 0 and column 0 are known; a, b [size] letters. One
 * launch, one anti-diagonal of tiles of TILE x TILE cells; one block of TILE threads, one
 * tile. The usual size is 4096: 64 MiB of scores, 255 launches of 1 to 128 blocks.
 */
#include "load.cuh"

namespace
{

enum {
    TILE = 32
};

/* Row 0 and column 0: nothing but gaps. */
__global__ void __launch_bounds__(TILE) begin_scores(int *score, int size)
{
    const int i = (int)blockIdx.x * TILE + (int)threadIdx.x;
    if (i > size)
        return;
    score[i] = LOAD_GAP * i;
    score[(size_t)i * (size + 1)] = LOAD_GAP * i;
}

/*
 * Tiles (first + blockIdx.x, diagonal - first - blockIdx.x). Tile (ty, tx) has the cells of
 * rows 1 + ty * TILE and columns 1 + tx * TILE on; it needs the row above, the column on its
 * left and their corner. Thread t has row t: at step s it is at column s - t, for which the
 * thread above has ended at step s - 1, and at step s - 2 the one up and left.
 */
__global__ void __launch_bounds__(TILE)
    align_tiles(int *score, const uint8_t *a, const uint8_t *b, int size, int diagonal,
                int first)
{
    /* An even pitch: along an anti-diagonal each thread then has a bank of its own. */
    __shared__ int tile[TILE + 1][TILE + 2];
    __shared__ uint8_t letters[TILE];
    const int ty = first + (int)blockIdx.x, tx = diagonal - ty, t = (int)threadIdx.x;
    const int row0 = ty * TILE, column0 = tx * TILE; /* those above, and on the left */
    const int rows = min(TILE, size - row0), columns = min(TILE, size - column0);
    const size_t pitch = (size_t)size + 1;
    int *const corner = score + (size_t)row0 * pitch + column0;

    if (t == 0)
        tile[0][0] = corner[0];
    if (t < rows)
        tile[t + 1][0] = corner[(size_t)(t + 1) * pitch];
    if (t < columns) {
        tile[0][t + 1] = corner[t + 1];
        letters[t] = b[column0 + t];
    }
    const int letter = t < rows ? a[row0 + t] : 0;
    __syncthreads();

    for (int s = 0; s < 2 * TILE - 1; s++) {
        const int j = s - t;
        if (t < rows && j >= 0 && j < columns) {
            const int both = letter == letters[j] ? LOAD_MATCH : LOAD_MISMATCH;
            const int gap = max(tile[t][j + 1], tile[t + 1][j]) + LOAD_GAP;
            tile[t + 1][j + 1] = max(tile[t][j] + both, gap);
        }
        __syncthreads();
    }

    for (int i = 0; i < rows; i++)
        if (t < columns)
            corner[(size_t)(i + 1) * pitch + t + 1] = tile[i + 1][t + 1];
}

class paths_load : public load
{
  public:
    paths_load(int size, cudaStream_t stream)
        : size_(size), a_(size), b_(size), score_(((size_t)size + 1) * ((size_t)size + 1))
    {
        std::vector<uint8_t> letters(size);
        load_letters(letters.data(), size, 6);
        a_.write(letters.data(), stream);
        load_letters(letters.data(), size, 7);
        b_.write(letters.data(), stream);
        score_.poison(stream);
        /* Scores are written once; each tile reads a row, a column and its letters. */
        bytes = 4.0 * size * size + (4.0 + 4.0 + 1.0 + 1.0) * size * tiles();
    }

    void run(cudaStream_t stream) override
    {
        begin_scores<<<blocks_for((size_t)size_ + 1, TILE), TILE, 0, stream>>>(
            score_.get(), size_);
        launch_ok("begin_scores");
        for (int diagonal = 0; diagonal < 2 * tiles() - 1; diagonal++) {
            const int first = diagonal < tiles() ? 0 : diagonal - tiles() + 1;
            const int last = diagonal < tiles() ? diagonal : tiles() - 1;
            align_tiles<<<last - first + 1, TILE, 0, stream>>>(
                score_.get(), a_.get(), b_.get(), size_, diagonal, first);
            launch_ok("align_tiles");
        }
    }

    bool check(cudaStream_t stream) override
    {
        std::vector<uint8_t> a(size_), b(size_);
        std::vector<int> score(((size_t)size_ + 1) * ((size_t)size_ + 1));
        load_letters(a.data(), size_, 6);
        load_letters(b.data(), size_, 7);
        load_align(a.data(), size_, b.data(), size_, score.data());
        return same_integers("paths: score", score_.read(stream), score);
    }

  private:
    /* In a row, or in a column. */
    int tiles() const
    {
        return (int)blocks_for(size_, TILE);
    }

    int size_;
    device_array<uint8_t> a_, b_;
    device_array<int> score_;
};

std::unique_ptr<load> create(int size, cudaStream_t stream)
{
    return std::unique_ptr<load>(new paths_load(size, stream));
}

} // namespace

const load_kind paths_kind = { "paths", "letters of each sequence", 4096, 8192, create };
