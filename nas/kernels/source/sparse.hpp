// Sparse weights times channel-major pixels: one register tile of ROWS outputs × WIDTH vectors of pixels at a time
// (the scheme of Fast Sparse ConvNets, Elsen et al. 2020).
#pragma once

#include "activation.hpp"

namespace INSTRUCTION_SET {

// The last vector of an image starts `last` floats after the first of its tile: where pixels are no multiple of LANES
// it overlaps the one before it, and computes those pixels twice.
template <int ROWS, int WIDTH>
inline void sparse_tile(const SparseLayer& layer, int32_t block, const float* x, float* y, int64_t pixels, int64_t last) {
    Vector sums[ROWS][WIDTH];
    const int32_t outputs = layer.outputs - block * ROWS < ROWS ? layer.outputs - block * ROWS : ROWS;
    for (int row = 0; row < ROWS; row++)
        for (int column = 0; column < WIDTH; column++)
            sums[row][column] = broadcast(row < outputs ? layer.bias[block * ROWS + row] : 0.0f);
    const float* values = layer.values + int64_t(layer.starts[block]) * ROWS;
    for (int32_t entry = layer.starts[block]; entry < layer.starts[block + 1]; entry++, values += ROWS) {
        const float* from = x + layer.columns[entry] * pixels;
        Vector read[WIDTH];
        for (int column = 0; column < WIDTH - 1; column++) read[column] = load(from + column * LANES);
        read[WIDTH - 1] = load(from + last);
        for (int row = 0; row < ROWS; row++)
            for (int column = 0; column < WIDTH; column++) sums[row][column] += values[row] * read[column];
    }
    for (int row = 0; row < outputs; row++) {
        float* to = y + (int64_t(block) * ROWS + row) * pixels;
        for (int column = 0; column < WIDTH - 1; column++)
            store(to + column * LANES, activated(sums[row][column], layer.activation));
        store(to + last, activated(sums[row][WIDTH - 1], layer.activation));
    }
}

// WIDTH vectors at a time, and what is left with fewer.
template <int ROWS, int WIDTH>
void sparse_vectors(const SparseLayer& layer, const float* x, float* y, int64_t pixels, int64_t first, int64_t end,
                    int32_t first_block, int32_t last_block) {
    for (; first + WIDTH <= end; first += WIDTH) {
        const int64_t start = first * LANES;
        const int64_t rest = pixels - LANES - start;
        const int64_t last = rest < (WIDTH - 1) * LANES ? rest : (WIDTH - 1) * LANES;
        for (int32_t block = first_block; block < last_block; block++)
            sparse_tile<ROWS, WIDTH>(layer, block, x + start, y + start, pixels, last);
    }
    if constexpr (WIDTH > 1)
        if (first < end) sparse_vectors<ROWS, WIDTH - 1>(layer, x, y, pixels, first, end, first_block, last_block);
}

}  // namespace INSTRUCTION_SET
