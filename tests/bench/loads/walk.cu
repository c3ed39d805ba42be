/*
 * walk: a breadth-first walk over a random graph, level by level; irregular reads, and a host
 * that asks after each level whether there is another.
 *
 * offsets [vertices + 1] and columns [edges] are the graph, in CSR form (reference.h);
 * distance [vertices]; one thread, one vertex. The usual size is 4 Mi vertices, 32 Mi edges,
 * about ten levels.
 */
#include "load.cuh"

#include <new>

namespace
{

enum {
    BLOCK = 256
};

/*
 * The vertices at `level` give their neighbours that no one has seen the next one. *found
 * becomes 1 if there was any. Threads may meet at a neighbour: the one whose atomic operation
 * is first has it. Reads beside those are volatile, which makes them relaxed ones: an older
 * value costs no more than an atomic operation that changes nothing.
 */
__global__ void __launch_bounds__(BLOCK)
    visit_level(const int *offsets, const int *columns, int *distance, int vertices,
                int level, int *found)
{
    const int v = (int)blockIdx.x * BLOCK + (int)threadIdx.x;
    volatile int *const seen = distance;
    int any = 0;
    if (v < vertices && seen[v] == level) {
        const int end = offsets[v + 1];
        for (int e = offsets[v]; e < end; e++) {
            const int next = columns[e];
            if (seen[next] == LOAD_UNSEEN)
                any |= atomicCAS(&distance[next], LOAD_UNSEEN, level + 1) == LOAD_UNSEEN;
        }
    }
    /* Once for a block, or a million threads would queue at one word. */
    if (__syncthreads_or(any) && threadIdx.x == 0)
        atomicExch(found, 1);
}

/* The graph, in the host's memory. */
class host_graph
{
  public:
    explicit host_graph(int vertices)
    {
        if (!load_graph_create(vertices, &graph))
            throw std::bad_alloc();
    }

    host_graph(const host_graph &) = delete;
    host_graph &operator=(const host_graph &) = delete;

    ~host_graph()
    {
        load_graph_destroy(&graph);
    }

    load_graph graph;
};

class walk_load : public load
{
  public:
    walk_load(const load_graph &graph, cudaStream_t stream)
        : vertices_(graph.vertices), edges_(graph.edges), offsets_(graph.vertices + 1),
          columns_(graph.edges), distance_(graph.vertices), found_(1)
    {
        offsets_.write(graph.offsets, stream);
        columns_.write(graph.columns, stream);
        GPU_OK(cudaMallocHost(&host_found_, sizeof *host_found_));
    }

    ~walk_load() override
    {
        GPU_OK(cudaFreeHost(host_found_));
    }

    void run(cudaStream_t stream) override
    {
        int level = 0;
        start(stream);
        do {
            GPU_OK(cudaMemsetAsync(found_.get(), 0, sizeof(int), stream));
            visit_level<<<blocks_for(vertices_, BLOCK), BLOCK, 0, stream>>>(
                offsets_.get(), columns_.get(), distance_.get(), vertices_, level++,
                found_.get());
            launch_ok("visit_level");
            GPU_OK(cudaMemcpyAsync(host_found_, found_.get(), sizeof(int),
                                   cudaMemcpyDeviceToHost, stream));
            GPU_OK(cudaStreamSynchronize(stream));
        } while (*host_found_);
        /* As if every vertex were reached: all distances are read at each level, and once every
         * vertex' offsets, every edge with the distance behind it, and a distance is written. */
        bytes =
            4.0 * level * vertices_ + 8.0 * vertices_ + 8.0 * edges_ + 4.0 * vertices_;
    }

    bool check(cudaStream_t stream) override
    {
        const host_graph host(vertices_);
        std::vector<int> distance(vertices_);
        if (!load_walk(&host.graph, 0, distance.data()))
            throw std::bad_alloc();
        return same_integers("walk: distance", distance_.read(stream), distance);
    }

  private:
    /* Nothing is seen but vertex 0. */
    void start(cudaStream_t stream)
    {
        static_assert(LOAD_UNSEEN == -1, "all bits set");
        GPU_OK(cudaMemsetAsync(distance_.get(), 0xff, sizeof(int) * vertices_, stream));
        GPU_OK(cudaMemsetAsync(distance_.get(), 0, sizeof(int), stream));
    }

    int vertices_, edges_;
    device_array<int> offsets_, columns_, distance_, found_;
    int *host_found_ = nullptr; /* in pinned memory */
};

std::unique_ptr<load> create(int size, cudaStream_t stream)
{
    const host_graph host(size);
    return std::unique_ptr<load>(new walk_load(host.graph, stream));
}

} // namespace

const load_kind walk_kind = { "walk", "vertices", 4 << 20, 8 << 20, create };
