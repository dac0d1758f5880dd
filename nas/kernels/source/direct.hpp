// A direct convolution of one channel: a register tile of output rows × vectors of output columns at a time. What is read
// for an input row and a column of the kernel is used by all output rows of the tile that the input row reaches.
#pragma once

#include <utility>

#include "padding.hpp"

namespace INSTRUCTION_SET {

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int TILE_ROWS = 7, TILE_WIDTH = 3;  // 32 registers
#else
constexpr int TILE_ROWS = 6, TILE_WIDTH = 2;  // 16
#endif

// One channel. Input row r × stride + i - top meets kernel row i in output row r; rows outside the image are zero.
struct Convolution {
    Padded image;
    int32_t height, top;
    const float* kernel;  // (kernel_height, kernel_width)
    int32_t kernel_height, kernel_width;
    int32_t stride;
    float bias, low, high;  // bounds of the result
    float* y;               // (out_height, out_width)
    int32_t out_height, out_width;
};

template <int WIDTH>
inline __attribute__((always_inline)) void read_vectors(Vector (&found)[WIDTH], const float* from, int32_t last) {
    for (int vector = 0; vector < WIDTH - 1; vector++) found[vector] = load(from + vector * LANES);
    found[WIDTH - 1] = load(from + last);
}

// Adds one input row to the output rows FIRST … LAST of a tile. `weights` are those of output row 0.
template <int FIRST, int LAST, int WIDTH>
inline __attribute__((always_inline)) void add_row(Vector (&sums)[TILE_ROWS][WIDTH], const float* from, int32_t last,
                                                   const float* weights, int64_t kernel_step, int32_t taps, int32_t stride) {
    const float* of[LAST + 1];
    for (int row = FIRST; row <= LAST; row++) of[row] = weights - row * kernel_step;
    for (int64_t tap = 0, at = 0; tap < taps; tap++, at += stride) {
        Vector read[WIDTH];
        read_vectors(read, from + tap, last);
        for (int row = FIRST; row <= LAST; row++)
            for (int vector = 0; vector < WIDTH; vector++) sums[row][vector] += of[row][at] * read[vector];
    }
}

// add_row of output rows known at run time.
template <int WIDTH, int... PAIRS>
inline __attribute__((always_inline)) void add_row_between(std::integer_sequence<int, PAIRS...>, int32_t first, int32_t end,
                                                           Vector (&sums)[TILE_ROWS][WIDTH], const float* from, int32_t last,
                                                           const float* weights, int64_t kernel_step, int32_t taps,
                                                           int32_t stride) {
    const int32_t pair = first * TILE_ROWS + end;
    ((PAIRS / TILE_ROWS <= PAIRS % TILE_ROWS && pair == PAIRS
          ? add_row<PAIRS / TILE_ROWS, PAIRS % TILE_ROWS>(sums, from, last, weights, kernel_step, taps, stride)
          : void()),
     ...);
}

template <int WIDTH>
inline __attribute__((always_inline)) void store_tile(const Convolution& layer, const Vector (&sums)[TILE_ROWS][WIDTH],
                                                      int32_t row, int32_t rows, int32_t column, int32_t last) {
    const float* end = layer.y + int64_t(layer.out_height) * layer.out_width;
    const Vector low = broadcast(layer.low), high = broadcast(layer.high);
    for (int i = 0; i < TILE_ROWS; i++) {
        if (i >= rows) break;
        float* to = layer.y + int64_t(row + i) * layer.out_width + column;
        for (int vector = 0; vector < WIDTH; vector++) {
            const Vector found = bounded(sums[i][vector], low, high);
            float* at = to + (vector < WIDTH - 1 ? vector * LANES : last);
            // Rows narrower than a vector: what goes past the row is overwritten by the next one.
            if (end - at >= LANES) store(at, found);
            else std::memcpy(at, &found, (end - at) * sizeof(float));
        }
    }
}

template <int WIDTH>
void direct_tile(const Convolution& layer, int32_t row, int32_t rows, int32_t column, int32_t last) {
    Vector sums[TILE_ROWS][WIDTH];
    for (auto& of_row : sums)
        for (Vector& sum : of_row) sum = broadcast(layer.bias);
    const int32_t stride = layer.stride;
    const int64_t kernel_step = int64_t(stride) * layer.kernel_width;
    for (int32_t phase = 0; phase < stride; phase++) {
        const int32_t kernel_rows = (layer.kernel_height - phase + stride - 1) / stride;
        for (int32_t i = 0; i < rows + kernel_rows - 1; i++) {
            const int32_t from_row = (row + i) * stride + phase - layer.top;
            if (from_row < 0 || from_row >= layer.height) continue;
            const int32_t first = i < kernel_rows ? 0 : i - kernel_rows + 1, end = i < rows ? i : rows - 1;
            const float* from = layer.image.data + int64_t(from_row) * layer.image.pitch() + column;
            const float* weights = layer.kernel + (int64_t(i) * stride + phase) * layer.kernel_width;
            for (int32_t plane = 0; plane < stride; plane++)
                add_row_between(std::make_integer_sequence<int, TILE_ROWS * TILE_ROWS>(), first, end, sums,
                                from + plane * layer.image.plane, last, weights + plane, kernel_step,
                                (layer.kernel_width - plane + stride - 1) / stride, stride);
        }
    }
    store_tile(layer, sums, row, rows, column, last);
}

// Output columns of WIDTH vectors at a time, and what is left with fewer.
template <int WIDTH>
void direct_columns(const Convolution& layer, int32_t first, int32_t end) {
    for (; first + WIDTH <= end; first += WIDTH) {
        const int32_t column = first * LANES, rest = layer.out_width - LANES - column;
        const int32_t last = rest < 0 && WIDTH == 1 && layer.out_width < LANES ? 0
                             : rest < (WIDTH - 1) * LANES                     ? rest
                                                                              : (WIDTH - 1) * LANES;
        for (int32_t row = 0; row < layer.out_height; row += TILE_ROWS)
            direct_tile<WIDTH>(layer, row, layer.out_height - row < TILE_ROWS ? layer.out_height - row : TILE_ROWS, column, last);
    }
    if constexpr (WIDTH > 1)
        if (first < end) direct_columns<WIDTH - 1>(layer, first, end);
}

inline void convolve_directly(const Convolution& layer) {
    direct_columns<TILE_WIDTH>(layer, 0, (layer.out_width + LANES - 1) / LANES);
}

}  // namespace INSTRUCTION_SET
