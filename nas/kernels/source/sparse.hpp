// Multiplies sparse weights by an image's pixels, tile by tile; tiles are copied first where direct reads would be slow.
#pragma once

#include "sparse_tile.hpp"
#include "transpose.hpp"

namespace INSTRUCTION_SET {

// Number of outputs of a tile that are computed at a time into a buffer.
constexpr int32_t group = 16;

// Whether copying a tile's inputs pays. With one or two rows there is little arithmetic per read, so reads that cross cache
// lines, or of channels that share cache sets, cost more than copying inputs that are read often. Measured on Zen 4.
inline bool worth_copying(const SparseLayer& layer, const float* x, int64_t pixels, int32_t first_block, int32_t last_block) {
    const bool is_slow = pixels % 16 != 0 || pixels % 256 == 0 || reinterpret_cast<uintptr_t>(x) % 64 != 0;
    const int64_t entries = layer.starts[last_block] - layer.starts[first_block];
    return layer.rows < 4 && is_slow && entries >= 8 * int64_t(layer.rows) * layer.inputs;
}

// Computes x (inputs, pixels) → y (outputs, pixels) with at least one vector of pixels.
inline void channels_first_tile(const SparseLayer& layer, const float* x, float* y, int64_t pixels, int64_t first,
                                int32_t width, int32_t first_block, int32_t last_block) {
    const int64_t start = first * LANES, size = int64_t(width) * LANES;
    const int64_t last = least(size - LANES, pixels - LANES - start);
    float* to = y + start + int64_t(first_block) * layer.rows * pixels;
    SparseTile tile{x + start, pixels, last, to, pixels, last};
    if (worth_copying(layer, x, pixels, first_block, last_block)) {
        float* copy = scratch(layer.inputs * size);
        for (int32_t input = 0; input < layer.inputs; input++) {
            const float* from = x + start + input * pixels;
            for (int64_t at = 0; at < size - LANES; at += LANES) store(copy + input * size + at, load(from + at));
            store(copy + input * size + size - LANES, load(from + last));
        }
        tile.x = copy, tile.x_stride = size, tile.x_last = size - LANES;
    }
    tile_kernel(layer.rows, width)(layer, tile, first_block, last_block);
}

// Computes any layout and number of pixels, through copies of inputs and outputs with whole vectors of pixels.
inline void copied_tile(const SparseLayer& layer, const float* x, float* y, int64_t pixels, int64_t first, int32_t width,
                        int32_t first_block, int32_t last_block) {
    const int64_t start = first * LANES, size = int64_t(width) * LANES, there = least(size, pixels - start);
    float* copy = scratch(layer.inputs * size);
    if (there < size) std::memset(copy, 0, sizeof(float) * layer.inputs * size);
    if (layer.channels_last)
        transpose(x + start * layer.inputs, layer.inputs, there, layer.inputs, copy, size);
    else
        for (int32_t input = 0; input < layer.inputs; input++)
            std::memcpy(copy + input * size, x + input * pixels + start, sizeof(float) * there);
    alignas(64) float found[group * widest(1) * LANES];
    const SparseKernel kernel = tile_kernel(layer.rows, width);
    for (int32_t block = first_block; block < last_block; block += group / layer.rows) {
        const int32_t end = int32_t(least(block + group / layer.rows, last_block));
        kernel(layer, {copy, size, size - LANES, found, size, size - LANES}, block, end);
        const int64_t output = int64_t(block) * layer.rows, outputs = least(int64_t(end) * layer.rows, layer.outputs) - output;
        if (layer.channels_last)
            transpose(found, size, outputs, there, y + start * layer.outputs + output, layer.outputs);
        else
            for (int64_t row = 0; row < outputs; row++)
                std::memcpy(y + (output + row) * pixels + start, found + row * size, sizeof(float) * there);
    }
}

// The values of an entry, side by side.
template <int ROWS> struct Entry;
template <> struct Entry<1> { using Values = float; };
template <> struct Entry<2> { using Values = float __attribute__((vector_size(8))); };
template <> struct Entry<4> { using Values = float __attribute__((vector_size(16))); };

// Computes a single pixel. Vectors of pixels would use only one lane, so vectors consist of rows. Several partial sums hide
// each other's latency.
template <int ROWS>
void sparse_dots(const SparseLayer& layer, const float* x, float* y, int32_t first_block, int32_t last_block) {
    constexpr int chains = 8;
    for (int32_t block = first_block; block < last_block; block++) {
        typename Entry<ROWS>::Values sums[chains] = {}, read;
        int32_t entry = layer.starts[block];
        const int32_t end = layer.starts[block + 1];
        const float* values = layer.values + int64_t(entry) * ROWS;
        for (; entry + chains <= end; entry += chains, values += chains * ROWS)
            for (int chain = 0; chain < chains; chain++) {
                std::memcpy(&read, values + chain * ROWS, sizeof read);
                sums[chain] += read * x[layer.columns[entry + chain]];
            }
        for (; entry < end; entry++, values += ROWS) {
            std::memcpy(&read, values, sizeof read);
            sums[0] += read * x[layer.columns[entry]];
        }
        for (int chain = 1; chain < chains; chain++) sums[0] += sums[chain];
        const int64_t output = int64_t(block) * ROWS, outputs = least(ROWS, layer.outputs - output);
        float found[ROWS];
        std::memcpy(found, sums, sizeof found);
        for (int64_t row = 0; row < outputs; row++) y[output + row] = layer.bias[output + row] + found[row];
    }
    const int64_t first = int64_t(first_block) * ROWS, last = least(int64_t(last_block) * ROWS, layer.outputs);
    curve(y + first, last - first, layer.activation);
}

inline void sparse_image(const SparseLayer& layer, int32_t width, const float* x, float* y, int64_t pixels, int64_t first,
                         int64_t last, int32_t first_block, int32_t last_block) {
    if (pixels == 1) {
        const auto dots = layer.rows == 1 ? sparse_dots<1> : layer.rows == 2 ? sparse_dots<2> : sparse_dots<4>;
        return dots(layer, x, y, first_block, last_block);
    }
    const auto compute = layer.channels_last || pixels < LANES ? copied_tile : channels_first_tile;
    const int64_t most = least(width, widest(layer.rows)), vectors = last - first, tiles = (vectors + most - 1) / most;
    for (int64_t tile = 0; tile < tiles; tile++) {  // about equally wide: narrow tiles would wait for their sums
        const int64_t start = vectors * tile / tiles, end = vectors * (tile + 1) / tiles;
        compute(layer, x, y, pixels, first + start, int32_t(end - start), first_block, last_block);
    }
}

}  // namespace INSTRUCTION_SET
