/*
 * bodies: one step of masses that all attract each other; bound by arithmetic.
 *
 * positions [count] x, y, z, mass and velocities [count] x, y, z, 0; one thread, one body; the
 * others pass through shared memory in tiles of BLOCK. The usual size is 32,768 bodies, 1.07e9
 * pairs.
 */
#include "load.cuh"

namespace
{

enum {
    BLOCK = 256
};

const double flops_a_pair = 19; /* the root counted as one */

/* A tile's pull on a body at `mine`. What is beyond the last body has no mass, and a body's
 * distance to itself is 0: neither pulls. */
__device__ __forceinline__ float3 add_pull(float3 pull, float4 mine, const float4 *tile)
{
#pragma unroll 8
    for (int k = 0; k < BLOCK; k++) {
        const float4 other = tile[k];
        const float dx = other.x - mine.x, dy = other.y - mine.y, dz = other.z - mine.z;
        const float root = rsqrtf(dx * dx + dy * dy + dz * dz + LOAD_SOFTENING);
        const float by = other.w * (root * root * root);
        pull.x += by * dx;
        pull.y += by * dy;
        pull.z += by * dz;
    }
    return pull;
}

/* All [count]; the new ones are not the old ones. */
__global__ void __launch_bounds__(BLOCK)
    step(const float4 *positions, const float4 *velocities, float4 *new_positions,
         float4 *new_velocities, int count)
{
    __shared__ float4 tile[BLOCK];
    const int i = (int)blockIdx.x * BLOCK + (int)threadIdx.x;
    /* Threads beyond the last body go along: they are needed to load the tiles. */
    float4 position = positions[min(i, count - 1)];
    float3 pull = make_float3(0, 0, 0);
    for (int first = 0; first < count; first += BLOCK) {
        const int j = first + (int)threadIdx.x;
        tile[threadIdx.x] = j < count ? positions[j] : make_float4(0, 0, 0, 0);
        __syncthreads();
        pull = add_pull(pull, position, tile);
        __syncthreads(); /* all have read the tile that the next one takes the place of */
    }
    if (i >= count)
        return;
    float4 velocity = velocities[i];
    velocity.x += LOAD_TIME_STEP * pull.x;
    velocity.y += LOAD_TIME_STEP * pull.y;
    velocity.z += LOAD_TIME_STEP * pull.z;
    position.x += LOAD_TIME_STEP * velocity.x;
    position.y += LOAD_TIME_STEP * velocity.y;
    position.z += LOAD_TIME_STEP * velocity.z;
    new_positions[i] = position;
    new_velocities[i] = velocity;
}

std::vector<float> flat(const std::vector<float4> &values)
{
    std::vector<float> out;
    out.reserve(4 * values.size());
    for (const float4 &value : values)
        out.insert(out.end(), { value.x, value.y, value.z, value.w });
    return out;
}

class bodies_load : public load
{
  public:
    bodies_load(int count, cudaStream_t stream)
        : count_(count), positions_(count), velocities_(count), new_positions_(count),
          new_velocities_(count)
    {
        std::vector<float4> positions(count), velocities(count);
        load_bodies_inputs(&positions[0].x, &velocities[0].x, count);
        positions_.write(positions.data(), stream);
        velocities_.write(velocities.data(), stream);
        new_positions_.poison(stream);
        new_velocities_.poison(stream);
        bytes = 64.0 * count;
        flops = flops_a_pair * count * count;
    }

    void run(cudaStream_t stream) override
    {
        step<<<blocks_for(count_, BLOCK), BLOCK, 0, stream>>>(
            positions_.get(), velocities_.get(), new_positions_.get(),
            new_velocities_.get(), count_);
        launch_ok("step");
    }

    /* Sums of many floats, on the CPU in double: velocities are off by the roundings of a sum
     * of about 1, times the time step. */
    bool check(cudaStream_t stream) override
    {
        const size_t floats = 4 * (size_t)count_;
        std::vector<float> old_p(floats), old_v(floats), new_p(floats), new_v(floats);
        load_bodies_inputs(old_p.data(), old_v.data(), count_);
        load_bodies_step(old_p.data(), old_v.data(), new_p.data(), new_v.data(), count_);
        const std::vector<float> p = flat(new_positions_.read(stream));
        const std::vector<float> v = flat(new_velocities_.read(stream));
        return same_floats("bodies: velocity", v, new_v, 2e-6f, 0) &&
               same_floats("bodies: position", p, new_p, 2e-6f, 0);
    }

  private:
    int count_;
    device_array<float4> positions_, velocities_, new_positions_, new_velocities_;
};

std::unique_ptr<load> create(int size, cudaStream_t stream)
{
    return std::unique_ptr<load>(new bodies_load(size, stream));
}

} // namespace

const load_kind bodies_kind = { "bodies", "bodies", 32768, 262144, create };
