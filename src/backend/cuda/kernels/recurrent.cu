/*
 * RECURRENT, any form: a launch for each step in time. A warp makes the gates of one hidden unit,
 * of several sequences at a time, so that a row of the weights is read once for all of these: its
 * lanes share the sums, and then each has a sequence. Sums are float, made in an order that depends
 * on the sizes alone. States stay float from step to step, whatever the format.
 */
#include "backend/cuda/kernels/common.cuh"
#include "backend/cuda/kernels/recurrent.h"

typedef hsi_cuda_recurrent_params params;
typedef hsi_cuda_recurrent_call call;

static constexpr int SEQUENCES = HSI_CUDA_RECURRENT_SEQUENCES;

/* What a warp makes, or a lane once the sums are there: then `n` is its own sequence. */
struct unit {
    uint32_t direction, j, n, lane;
    int64_t rows; /* of one gate: in[1] and in[2] have the gates one behind the other */
};

/* 0: there is none. */
__device__ __forceinline__ bool find_unit(const params &p, unit *u)
{
    const uint32_t index = blockIdx.x * HSI_CUDA_RECURRENT_WARPS + threadIdx.x / 32;
    u->direction = index / p.hidden;
    u->j = index % p.hidden;
    u->n = blockIdx.y * SEQUENCES;
    u->lane = threadIdx.x % 32;
    u->rows = p.hidden;
    return u->direction < p.directions;
}

__device__ __forceinline__ int64_t state_at(const params &p, const unit &u, uint32_t n,
                                            uint32_t j)
{
    return ((int64_t)u.direction * p.sequences + n) * p.hidden + j;
}

__device__ __forceinline__ uint32_t length_of(const params &p, const call &c, uint32_t n)
{
    if (!p.has_lengths)
        return p.steps;
    const int32_t length = reinterpret_cast<const int32_t *>(c.in[4])[n];
    return length < 0 ? 0 : length > (int64_t)p.steps ? p.steps : (uint32_t)length;
}

/* The time of the step for a sequence; beyond its length, that of an output that is 0. */
__device__ __forceinline__ uint32_t time_of(const params &p, const call &c, const unit &u,
                                            uint32_t n)
{
    const uint32_t length = length_of(p, c, n);
    const bool reverse = u.direction == 1 || p.reverse;
    return reverse && c.step < length ? length - 1 - c.step : c.step;
}

/* Adds to sums[g] the products of row j of gate first + g with a vector of each sequence. NULL:
 * there is no such sequence. */
template <typename T, typename V, int GATES>
__device__ __forceinline__ void add_products(float (&sums)[GATES][SEQUENCES],
                                             const T *row, int64_t gate_stride,
                                             uint32_t size,
                                             const V *const (&of)[SEQUENCES],
                                             uint32_t lane)
{
    for (uint32_t i = lane; i < size; i += 32) {
        float v[SEQUENCES];
#pragma unroll
        for (int n = 0; n < SEQUENCES; n++)
            v[n] = of[n] ? to_float(of[n][i]) : 0.0f;
#pragma unroll
        for (int g = 0; g < GATES; g++) {
            const float w = to_float(row[g * gate_stride + i]);
#pragma unroll
            for (int n = 0; n < SEQUENCES; n++)
                sums[g][n] = fmaf(w, v[n], sums[g][n]);
        }
    }
}

template <int GATES>
__device__ __forceinline__ void clear(float (&sums)[GATES][SEQUENCES])
{
#pragma unroll
    for (int g = 0; g < GATES; g++)
#pragma unroll
        for (int n = 0; n < SEQUENCES; n++)
            sums[g][n] = 0.0f;
}

/* Products of the input with gates first to first + GATES - 1. */
template <typename T, int GATES>
__device__ __forceinline__ void add_inputs(float (&sums)[GATES][SEQUENCES],
                                           const params &p, const call &c, const unit &u,
                                           int gates, int first)
{
    const T *x = reinterpret_cast<const T *>(c.in[0]);
    const T *of[SEQUENCES];
#pragma unroll
    for (int n = 0; n < SEQUENCES; n++) {
        const uint32_t sequence = u.n + n;
        of[n] = sequence < p.sequences
                    ? x + ((int64_t)time_of(p, c, u, sequence) * p.sequences + sequence) *
                              p.inputs
                    : nullptr;
    }
    const int64_t row = (u.direction * (int64_t)gates + first) * p.hidden + u.j;
    add_products(sums, reinterpret_cast<const T *>(c.in[1]) + row * p.inputs,
                 u.rows * p.inputs, p.inputs, of, u.lane);
}

/* The same of the hidden state, or of another array of states. */
template <typename T, int GATES>
__device__ __forceinline__ void add_hidden(float (&sums)[GATES][SEQUENCES],
                                           const params &p, const call &c, const unit &u,
                                           int gates, int first, const float *states)
{
    const float *of[SEQUENCES];
#pragma unroll
    for (int n = 0; n < SEQUENCES; n++)
        of[n] = u.n + n < p.sequences ? states + state_at(p, u, u.n + n, 0) : nullptr;
    const int64_t row = (u.direction * (int64_t)gates + first) * p.hidden + u.j;
    add_products(sums, reinterpret_cast<const T *>(c.in[2]) + row * p.hidden,
                 u.rows * p.hidden, p.hidden, of, u.lane);
}

/* The sums of the lane's own sequence, lane n's being the warp's number n. */
template <int GATES>
__device__ __forceinline__ void reduce(float (&sums)[GATES][SEQUENCES], uint32_t lane,
                                       float (&own)[GATES])
{
#pragma unroll
    for (int g = 0; g < GATES; g++)
#pragma unroll
        for (int n = 0; n < SEQUENCES; n++) {
            float sum = sums[g][n];
#pragma unroll
            for (int offset = 16; offset > 0; offset /= 2)
                sum += __shfl_xor_sync(0xffffffffu, sum, offset);
            if (n == 0 || lane == (uint32_t)n)
                own[g] = sum;
        }
}

/* After reduce(): the lane's sequence. 0: it has none. */
__device__ __forceinline__ bool take_sequence(const params &p, unit *u)
{
    u->n += u->lane;
    return u->lane < SEQUENCES && u->n < p.sequences;
}

/* Number `gate` of the biases: those of the inputs, then those of the hidden state. */
template <typename T>
__device__ __forceinline__ float bias(const params &p, const call &c, const unit &u,
                                      int gates, int gate)
{
    if (!p.has_bias)
        return 0.0f;
    const int64_t at = (u.direction * (int64_t)(2 * gates) + gate) * p.hidden + u.j;
    return to_float(reinterpret_cast<const T *>(c.in[3])[at]);
}

__device__ __forceinline__ float activate(const params &p, const unit &u, int which,
                                          float x)
{
    if (p.clip > 0)
        x = clamp(x, -p.clip, p.clip);
    return apply_act(x, p.activations[u.direction][which]);
}

/* Array number `which` of the workspace. */
__device__ __forceinline__ float *states(const params &p, const call &c, uint32_t which)
{
    return reinterpret_cast<float *>(c.workspace) + (int64_t)which * p.states;
}

__device__ __forceinline__ const float *before(const params &p, const call &c)
{
    return states(p, c, c.step % 2);
}

/* Stores what the step has made of the lane's unit; beyond its sequence's length the state stays.
 * `cell`: an LSTM's, else NULL. */
template <typename T>
__device__ __forceinline__ void finish(const params &p, const call &c, const unit &u,
                                       float h, const float *cell)
{
    const int64_t at = state_at(p, u, u.n, u.j);
    const bool ends = c.step >= length_of(p, c, u.n);
    T *out = reinterpret_cast<T *>(c.out);
    if (ends)
        h = before(p, c)[at];
    states(p, c, (c.step + 1) % 2)[at] = h;
    out[(int64_t)time_of(p, c, u, u.n) * p.states + at] = from_float<T>(ends ? 0.0f : h);
    if (cell && !ends)
        states(p, c, 2)[at] = *cell;
    if (c.step + 1 < p.steps)
        return;
    out[(int64_t)p.steps * p.states + at] = from_float<T>(h);
    if (cell)
        out[((int64_t)p.steps + 1) * p.states + at] = from_float<T>(states(p, c, 2)[at]);
}

/* ---- Kernels --------------------------------------------------------------- */

/* The states before the first step. */
template <typename T>
__device__ __forceinline__ void start(const params &p, const call &c)
{
    const uint32_t at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= p.states)
        return;
    const T *h = reinterpret_cast<const T *>(c.in[5]),
            *cell = reinterpret_cast<const T *>(c.in[6]);
    states(p, c, 0)[at] = p.has_h ? to_float(h[at]) : 0.0f;
    states(p, c, 2)[at] = p.has_c ? to_float(cell[at]) : 0.0f;
}

template <typename T>
__device__ __forceinline__ void step_rnn(const params &p, const call &c)
{
    unit u;
    float sums[1][SEQUENCES], own[1];
    if (!find_unit(p, &u))
        return; /* whole warps */
    clear(sums);
    add_inputs<T>(sums, p, c, u, 1, 0);
    add_hidden<T>(sums, p, c, u, 1, 0, before(p, c));
    reduce(sums, u.lane, own);
    if (!take_sequence(p, &u))
        return;
    const float x = own[0] + bias<T>(p, c, u, 1, 0) + bias<T>(p, c, u, 1, 1);
    finish<T>(p, c, u, activate(p, u, 0, x), nullptr);
}

template <typename T>
__device__ __forceinline__ void step_lstm(const params &p, const call &c)
{
    unit u;
    float sums[4][SEQUENCES], own[4];
    if (!find_unit(p, &u))
        return;
    clear(sums);
    add_inputs<T>(sums, p, c, u, 4, 0);
    add_hidden<T>(sums, p, c, u, 4, 0, before(p, c));
    reduce(sums, u.lane, own);
    if (!take_sequence(p, &u))
        return;
#pragma unroll
    for (int g = 0; g < 4; g++)
        own[g] += bias<T>(p, c, u, 4, g) + bias<T>(p, c, u, 4, 4 + g);
    const float in = activate(p, u, 0, own[0]), out = activate(p, u, 0, own[1]),
                forget = p.input_forget ? 1.0f - in : activate(p, u, 0, own[2]),
                candidate = activate(p, u, 1, own[3]);
    const float cell =
        forget * states(p, c, 2)[state_at(p, u, u.n, u.j)] + in * candidate;
    finish<T>(p, c, u, out * apply_act(cell, p.activations[u.direction][2]), &cell);
}

/* A GRU whose reset gate is applied after the product with the hidden state. */
template <typename T>
__device__ __forceinline__ void step_gru_after(const params &p, const call &c)
{
    unit u;
    float of_input[3][SEQUENCES], of_hidden[3][SEQUENCES], x[3], h[3];
    if (!find_unit(p, &u))
        return;
    clear(of_input);
    clear(of_hidden);
    add_inputs<T>(of_input, p, c, u, 3, 0);
    add_hidden<T>(of_hidden, p, c, u, 3, 0, before(p, c));
    reduce(of_input, u.lane, x);
    reduce(of_hidden, u.lane, h);
    if (!take_sequence(p, &u))
        return;
#pragma unroll
    for (int g = 0; g < 3; g++) {
        x[g] += bias<T>(p, c, u, 3, g);
        h[g] += bias<T>(p, c, u, 3, 3 + g);
    }
    const float update = activate(p, u, 0, x[0] + h[0]),
                reset = activate(p, u, 0, x[1] + h[1]),
                candidate = activate(p, u, 1, x[2] + reset * h[2]),
                old = before(p, c)[state_at(p, u, u.n, u.j)];
    finish<T>(p, c, u, (1.0f - update) * candidate + update * old, nullptr);
}

/* One whose reset gate comes first, in two launches: the gates, then the candidate, which needs
 * what all reset gates have left of the hidden state. */
template <typename T>
__device__ __forceinline__ void step_gru_gates(const params &p, const call &c)
{
    unit u;
    float sums[2][SEQUENCES], own[2];
    if (!find_unit(p, &u))
        return;
    clear(sums);
    add_inputs<T>(sums, p, c, u, 3, 0);
    add_hidden<T>(sums, p, c, u, 3, 0, before(p, c));
    reduce(sums, u.lane, own);
    if (!take_sequence(p, &u))
        return;
    const int64_t at = state_at(p, u, u.n, u.j);
#pragma unroll
    for (int g = 0; g < 2; g++)
        own[g] += bias<T>(p, c, u, 3, g) + bias<T>(p, c, u, 3, 3 + g);
    states(p, c, 2)[at] = activate(p, u, 0, own[0]);
    states(p, c, 3)[at] = activate(p, u, 0, own[1]) * before(p, c)[at];
}

template <typename T>
__device__ __forceinline__ void step_gru_candidate(const params &p, const call &c)
{
    unit u;
    float sums[1][SEQUENCES], own[1];
    if (!find_unit(p, &u))
        return;
    clear(sums);
    add_inputs<T>(sums, p, c, u, 3, 2);
    add_hidden<T>(sums, p, c, u, 3, 2, states(p, c, 3));
    reduce(sums, u.lane, own);
    if (!take_sequence(p, &u))
        return;
    const int64_t at = state_at(p, u, u.n, u.j);
    const float candidate = activate(
        p, u, 1, own[0] + bias<T>(p, c, u, 3, 2) + bias<T>(p, c, u, 3, 5));
    const float update = states(p, c, 2)[at];
    finish<T>(p, c, u, (1.0f - update) * candidate + update * before(p, c)[at], nullptr);
}

#define KERNEL(name, suffix, type)                                                       \
    extern "C" __global__ void __launch_bounds__(HSI_CUDA_RECURRENT_THREADS)             \
        recurrent_##name##_##suffix(const __grid_constant__ params p,                    \
                                    const __grid_constant__ call c)                      \
    {                                                                                    \
        name<type>(p, c);                                                                \
    }
#define KERNELS(name)                                                                    \
    KERNEL(name, f32, float)                                                             \
    KERNEL(name, f16, __half)                                                            \
    KERNEL(name, bf16, __nv_bfloat16)

KERNELS(start)
KERNELS(step_rnn)
KERNELS(step_lstm)
KERNELS(step_gru_after)
KERNELS(step_gru_gates)
KERNELS(step_gru_candidate)
