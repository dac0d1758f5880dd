// Computes one channel of a depthwise convolution tile by tile, from its planes and filters.
#pragma once

#include "fast_filter.hpp"

namespace INSTRUCTION_SET {

// Settings that all channels share.
struct Depthwise {
    const DepthwiseLayer& layer;
    int splits;  // of fast_filter.hpp
    Vector low, high;  // bounds of the result
};

// Stores row `row` of a tile to y. Where a row is narrower than a vector, the next row overwrites the excess values.
template <int WIDTH>
inline void store_row(const Depthwise& depthwise, const Vector (&sums)[WIDTH], float* y, int32_t row, Place place) {
    const DepthwiseLayer& layer = depthwise.layer;
    const float* end = y + int64_t(layer.out_height) * layer.out_width;
    float* to = y + int64_t(row) * layer.out_width + place.column;
    for (int vector = 0; vector < WIDTH; vector++) {
        const Vector found = bounded(sums[vector], depthwise.low, depthwise.high);
        float* at = to + (vector < WIDTH - 1 ? vector * LANES : place.last);
        if (end - at >= LANES) store(at, found);
        else {
            float lanes[LANES];
            store(lanes, found);
            store_some(at, lanes, end - at);
        }
    }
}

template <int SPLITS, int WIDTH>
void compute_tiles(const Depthwise& depthwise, const Plane* planes, const Filter* filters, float bias, float* y, Place place) {
    constexpr int count = power(2, SPLITS);
    Tile<WIDTH> tiles[count];
    for (Tile<WIDTH>& tile : tiles)
        for (auto& row : tile.sums)
            for (Vector& sum : row) sum = broadcast(bias);
    if constexpr (SPLITS > 0) add_split<SPLITS>(tiles, planes, filters, place);
    else add(tiles[0], *planes, *filters, place);
    for (int row = 0; row < TILE_ROWS; row++)
        for (int of = 0; of < count; of++) {
            const int32_t at = (place.row + row) * count + of;
            if (at < depthwise.layer.out_height) store_row(depthwise, tiles[first_row(of, SPLITS)].sums[row], y, at, place);
        }
}

// Computes output columns, WIDTH vectors at a time, and the remaining columns with fewer vectors.
template <int SPLITS, int WIDTH>
void compute_columns(const Depthwise& depthwise, const Plane* planes, const Filter* filters, float bias, float* y,
                     int32_t first, int32_t end) {
    const int32_t width = depthwise.layer.out_width, rows = (depthwise.layer.out_height - 1) / power(2, SPLITS) + 1;
    for (; first + WIDTH <= end; first += WIDTH) {
        const int32_t column = first * LANES, full = (WIDTH - 1) * LANES;
        const int32_t rest = width < LANES ? 0 : width - LANES - column;
        // The last tile overlaps the one before it.
        for (int32_t row = 0; row < rows; row += TILE_ROWS)
            compute_tiles<SPLITS, WIDTH>(depthwise, planes, filters, bias, y,
                                         {row + TILE_ROWS > rows && rows > TILE_ROWS ? rows - TILE_ROWS : row, column,
                                          rest < full ? rest : full});
    }
    if constexpr (WIDTH > 1)
        if (first < end) compute_columns<SPLITS, WIDTH - 1>(depthwise, planes, filters, bias, y, first, end);
}

inline void compute(const Depthwise& depthwise, const Plane* planes, const Filter* filters, float bias, float* y) {
    const int32_t vectors = (depthwise.layer.out_width + LANES - 1) / LANES;
    if (depthwise.splits == 2) return compute_columns<2, TILE_WIDTH>(depthwise, planes, filters, bias, y, 0, vectors);
    if (depthwise.splits == 1) return compute_columns<1, TILE_WIDTH>(depthwise, planes, filters, bias, y, 0, vectors);
    compute_columns<0, TILE_WIDTH>(depthwise, planes, filters, bias, y, 0, vectors);
}

}  // namespace INSTRUCTION_SET
