// Kernels of 3×3 and 5×5: register tiles that read the image in place. Weights stay in registers, for as many of the kernel's
// columns at a time as fit; each row that is read serves all output rows that it contributes to.
#pragma once

#include "activation.hpp"
#include "taps.hpp"

namespace INSTRUCTION_SET {

constexpr int SMALL_ROWS = 7;  // output rows in a tile

// Distance of the kernel's columns that are added at the same time.
template <int KERNEL, int STRIDE>
constexpr int tap_step() {
    return !HAS_32 ? KERNEL : KERNEL == 3 ? 1 : STRIDE == 2 ? 2 : KERNEL;
}

// One channel, or two that follow each other in memory.
struct Channels {
    const DepthwiseLayer& layer;
    const float *x, *weights, *bias;
    float* y;
    float* last_row;  // a vector for the last row of narrow outputs, of both channels; the caller copies it to y
    Integers shifts[2 * FARTHEST + 1];  // for narrow rows, from -FARTHEST on
    Vector low, high;
};

// A vector of each channel's number.
template <Reach REACH>
inline INLINED Vector of_channels(const float* first, int64_t step) {
    if constexpr (REACH == Reach::both_of_two) return halves(broadcast(first[0]), broadcast(first[step]));
    else return broadcast(*first);
}

constexpr int MOST_ROWS = (SMALL_ROWS - 1) * 2 + 5;

// Addresses of the rows that a tile reads, of one channel or two; null above and below the image.
struct Rows {
    const float *first[MOST_ROWS], *second[MOST_ROWS];
};

// Adds the kernel's columns FIRST, FIRST + STEP …, in an order in which successive rows contribute to different outputs, so
// that additions need not wait for each other.
template <int KERNEL, int STRIDE, Reach REACH, int FIRST, int STEP>
inline INLINED void add_taps(Vector (&sums)[SMALL_ROWS], const Channels& channels, const Rows& rows, int64_t column) {
    constexpr int count = (KERNEL - FIRST + STEP - 1) / STEP, read = (SMALL_ROWS - 1) * STRIDE + KERNEL;
    Vector weights[KERNEL][count];
#pragma GCC unroll 32
    for (int i = 0; i < KERNEL * count; i++)
        weights[i / count][i % count] =
            of_channels<REACH>(channels.weights + i / count * KERNEL + FIRST + i % count * STEP, KERNEL * KERNEL);
    Taps<STRIDE, REACH, (count > 1)> taps(channels.shifts);
#pragma GCC unroll 8
    for (int phase = 0; phase < KERNEL; phase++)
#pragma GCC unroll 8
        for (int row = phase; row < read; row += KERNEL) {
            if (rows.first[row] == nullptr) continue;
            const float* from = rows.first[row] + column * STRIDE;
            taps.read(from, REACH == Reach::both_of_two ? rows.second[row] : nullptr);
            unrolled<count>([&](auto j) INLINED {
                const Vector value = taps.template tap<FIRST + j * STEP - KERNEL / 2>(from);
#pragma GCC unroll 8
                for (int of = KERNEL - 1; of >= 0; of--)
                    if (const int at = row - of; at >= 0 && at % STRIDE == 0 && at / STRIDE < SMALL_ROWS)
                        sums[at / STRIDE] += weights[of][j] * value;
            });
        }
}

inline INLINED void store_half(float* to, Vector value, int half) {
    std::memcpy(to, reinterpret_cast<const char*>(&value) + half * sizeof value / 2, sizeof value / 2);
}

// Computes a tile, whose `count` rows of outputs start at `to`.
template <int KERNEL, int STRIDE, Reach REACH>
__attribute__((noinline)) void compute_small(const Channels& channels, const Rows& rows, float* to, int32_t count, int64_t column) {
    constexpr int step = tap_step<KERNEL, STRIDE>();
    const int64_t width = channels.layer.out_width;
    Vector sums[SMALL_ROWS];
    unrolled<SMALL_ROWS>([&](auto i) INLINED { sums[i] = of_channels<REACH>(channels.bias, 1); });
    unrolled<step>([&](auto tap) INLINED { add_taps<KERNEL, STRIDE, REACH, tap, step>(sums, channels, rows, column); });
    const Vector low = channels.low, high = channels.high;
    to += column;
    unrolled<SMALL_ROWS>([&](auto i) INLINED {
        if (i >= count) return;
        const Vector found = bounded(sums[i], low, high);
        // The next row overwrites the values that go past a narrow row.
        float* at = is_narrow(REACH) && i == count - 1 ? channels.last_row : to;
        if constexpr (REACH == Reach::both_of_two) {
            store_half(at, found, 0);
            store_half(i == count - 1 ? at + LANES / 2 : to + channels.layer.out_height * width, found, 1);
        } else store(at, found);
        to += width;
    });
}

// Vectors overlap if the number of columns is not a multiple of LANES.
template <int KERNEL, int STRIDE>
void compute_rows(const Channels& channels, const Rows& rows, float* to, int32_t count, bool is_two) {
    const int32_t last = channels.layer.out_width - LANES, most = last - KERNEL / 2;
    if (is_two) return compute_small<KERNEL, STRIDE, Reach::both_of_two>(channels, rows, to, count, 0);
    if (last <= 0) return compute_small<KERNEL, STRIDE, Reach::both>(channels, rows, to, count, 0);
    compute_small<KERNEL, STRIDE, Reach::left>(channels, rows, to, count, 0);
    for (int32_t column = LANES; column < last; column += LANES)
        compute_small<KERNEL, STRIDE, Reach::neither>(channels, rows, to, count, column < most ? column : most);
    compute_small<KERNEL, STRIDE, Reach::right>(channels, rows, to, count, last);
}

// Copies of the last rows of narrow channels, where vectors would go past the channels' ends.
template <int STRIDE>
struct LastRows {
    alignas(64) float in[2][3 * LANES], out[LANES];

    // Copies the row of `width` floats before `end`, for a channel whose lanes start at `lane`; returns its new address.
    const float* read(int channel, const float* end, int32_t width, int32_t lane) {
        float* to = in[channel];
        for (int part = 0; part < STRIDE; part++, to += LANES) {
            const int32_t left = width - part * LANES + lane;
            if (left < LANES) store(to, __builtin_shuffle(load(end - LANES), lane_numbers() + (LANES - left)));
            else store(to, load(end - left));
        }
        return in[channel] + lane;
    }
};

template <int KERNEL, int STRIDE>
void compute_small(const Channels& channels, LastRows<STRIDE>& last_rows, bool narrow, bool is_two) {
    const DepthwiseLayer& layer = channels.layer;
    const int64_t width = layer.width, in = layer.height * width, out_width = layer.out_width, out = layer.out_height * out_width;
    const float *last_row = nullptr, *second_last_row = nullptr;
    if (narrow) last_row = last_rows.read(0, channels.x + in, layer.width, 0);
    if (is_two) second_last_row = last_rows.read(1, channels.x + 2 * in, layer.width, STRIDE == 1 ? LANES / 2 : 0);
    const int32_t last = layer.out_height > SMALL_ROWS ? layer.out_height - SMALL_ROWS : 0, read = (SMALL_ROWS - 1) * STRIDE + KERNEL;
    Rows rows;
    for (int32_t tile = 0; tile < last + SMALL_ROWS; tile += SMALL_ROWS) {
        const int32_t row = tile < last ? tile : last, begin = row * STRIDE - layer.top;
        for (int32_t i = 0, at = begin; i < read; i++, at++)
            rows.first[i] = at < 0 || at >= layer.height ? nullptr : channels.x + at * width;
        for (int32_t i = 0; is_two && i < read; i++) rows.second[i] = rows.first[i] + in;
        if (const int64_t i = layer.height - 1 - begin; narrow && i >= 0 && i < read)
            rows.first[i] = last_row, rows.second[i] = second_last_row;
        compute_rows<KERNEL, STRIDE>(channels, rows, channels.y + row * out_width, layer.out_height - row, is_two);
    }
    if (narrow) store_some<LANES>(channels.y + out - out_width, last_rows.out, out_width);
    if (is_two) store_some<LANES>(channels.y + 2 * out - out_width, last_rows.out + LANES / 2, out_width);
}

template <int KERNEL, int STRIDE>
void depthwise_of_small(const DepthwiseLayer& layer, const float* x, float* y, int32_t first, int32_t end) {
    const Finish finish(layer.activation);
    const int64_t in = int64_t(layer.height) * layer.width, out = int64_t(layer.out_height) * layer.out_width;
    const bool narrow = layer.out_width <= LANES, in_halves = layer.out_width <= LANES / 2 && end - first > 1;
    LastRows<STRIDE> last_rows;
    Channels channels{layer, nullptr, nullptr, nullptr, nullptr, last_rows.out, {}, finish.low, finish.high};
    for (int by = -FARTHEST; narrow && by <= FARTHEST; by++)
        channels.shifts[FARTHEST + by] = shift(by, layer.out_width, in_halves ? LANES / 2 : LANES);
    for (int32_t at = first; at < end; at += 1 + in_halves) {
        const int64_t channel = in_halves && at == end - 1 ? at - 1 : at;
        channels.x = x + channel * in, channels.y = y + channel * out;
        channels.weights = layer.weights + channel * KERNEL * KERNEL, channels.bias = layer.bias + channel;
        compute_small<KERNEL, STRIDE>(channels, last_rows, narrow, in_halves);
        if (finish.curved) curve(channels.y, (1 + in_halves) * out, finish.activation);
    }
}

// Whether these kernels can compute a layer: its padding is the one that Taps assumes, and its rows are so wide that only the
// vectors of a channel's last row go past its end.
inline bool is_small(const DepthwiseLayer& layer, int32_t channels) {
    const int32_t kernel = layer.kernel_width, stride = layer.stride, least_width = stride * LANES / (channels > 1 ? 4 : 2);
    if (LANES < 8 || kernel != layer.kernel_height || (kernel != 3 && kernel != 5) || stride > 2) return false;
    if (layer.left != kernel / 2 || layer.width != layer.out_width * stride || layer.width < least_width) return false;
    if (layer.out_width <= LANES) return int64_t(layer.height) * layer.width >= stride * LANES;
    return layer.out_width >= LANES + kernel / 2;
}

inline void depthwise_of_small(const DepthwiseLayer& layer, const float* x, float* y, int32_t first, int32_t end) {
    if constexpr (LANES >= 8) {
        if (layer.kernel_width == 3)
            layer.stride == 1 ? depthwise_of_small<3, 1>(layer, x, y, first, end) : depthwise_of_small<3, 2>(layer, x, y, first, end);
        else
            layer.stride == 1 ? depthwise_of_small<5, 1>(layer, x, y, first, end) : depthwise_of_small<5, 2>(layer, x, y, first, end);
    }
}

}  // namespace INSTRUCTION_SET
