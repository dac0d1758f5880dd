// Multiplies sparse weights by one tile of pixels: ROWS outputs × WIDTH vectors of pixels at a time, in registers (the scheme
// of Fast Sparse ConvNets, Elsen et al. 2020).
#pragma once

#include <utility>

#include "activation.hpp"

namespace INSTRUCTION_SET {

// WIDTH adjacent vectors of each channel. Those of input i start at x + i * x_stride; those of output o, counted from the
// first block's first output, at y + o * y_stride. The last vector is `x_last` and `y_last` floats after the first one: it
// overlaps the vector before it where a channel's pixels end.
struct SparseTile {
    const float* x;
    int64_t x_stride, x_last;
    float* y;
    int64_t y_stride, y_last;
};

// Number of entries that prefetches run ahead by, if each entry has enough arithmetic to hide them.
constexpr int32_t ahead = 4;

template <int WIDTH>
inline __attribute__((always_inline)) void prefetch(const float* from) {
    for (int column = 0; column < WIDTH; column += LANES < 16 ? 16 / LANES : 1) __builtin_prefetch(from + column * LANES);
}

template <int WIDTH>
inline __attribute__((always_inline)) void store_sums(const Vector* sums, const Finish& finish, float* to, int64_t last) {
    Vector found[WIDTH];
    for (int column = 0; column < WIDTH; column++) found[column] = bounded(sums[column], finish.low, finish.high);
    if (finish.curved) curve(found, WIDTH, finish.activation);
    for (int column = 0; column < WIDTH - 1; column++) store(to + column * LANES, found[column]);
    store(to + last, found[WIDTH - 1]);
}

template <int ROWS, int WIDTH>
void sparse_tile(const SparseLayer& layer, const SparseTile& tile, int32_t first_block, int32_t last_block) {
    const Finish finish(layer.activation);
    const int32_t last_entry = layer.starts[last_block] - 1;
    float* to = tile.y;
    for (int32_t block = first_block; block < last_block; block++) {
        const int64_t outputs = least(layer.outputs - int64_t(block) * ROWS, ROWS);
        Vector sums[ROWS][WIDTH];
        for (int row = 0; row < ROWS; row++)
            for (int column = 0; column < WIDTH; column++)
                sums[row][column] = broadcast(row < outputs ? layer.bias[int64_t(block) * ROWS + row] : 0.0f);
        const int32_t end = layer.starts[block + 1];
        const float* values = layer.values + int64_t(layer.starts[block]) * ROWS;
        for (int32_t entry = layer.starts[block]; entry < end; entry++, values += ROWS) {
            const float* from = tile.x + layer.columns[entry] * tile.x_stride;
            if constexpr (ROWS == 4)
                prefetch<WIDTH>(tile.x + layer.columns[least(entry + ahead, last_entry)] * tile.x_stride);
            Vector read[WIDTH];
            for (int column = 0; column < WIDTH - 1; column++) read[column] = load(from + column * LANES);
            read[WIDTH - 1] = load(from + tile.x_last);
            for (int row = 0; row < ROWS; row++)
                for (int column = 0; column < WIDTH; column++) sums[row][column] += values[row] * read[column];
        }
        for (int row = 0; row < outputs; row++, to += tile.y_stride) store_sums<WIDTH>(sums[row], finish, to, tile.y_last);
    }
}

// The widest tile whose sums and inputs stay in registers: AVX-512 has 32 registers, the others 16.
constexpr int32_t widest(int32_t rows) {
    if (LANES == 16) return rows == 1 ? 13 : rows == 2 ? 8 : 6;
    return rows == 1 ? 8 : rows == 2 ? 5 : 3;
}

using SparseKernel = void (*)(const SparseLayer&, const SparseTile&, int32_t first_block, int32_t last_block);

template <int ROWS, int... LESS>
SparseKernel tile_kernel(int32_t width, std::integer_sequence<int, LESS...>) {
    static constexpr SparseKernel kernels_of_width[] = {sparse_tile<ROWS, LESS + 1>...};
    return kernels_of_width[width - 1];
}

inline SparseKernel tile_kernel(int32_t rows, int32_t width) {
    if (rows == 1) return tile_kernel<1>(width, std::make_integer_sequence<int, widest(1)>());
    if (rows == 2) return tile_kernel<2>(width, std::make_integer_sequence<int, widest(2)>());
    return tile_kernel<4>(width, std::make_integer_sequence<int, widest(4)>());
}

}  // namespace INSTRUCTION_SET
