// Convolutions with fewer multiplications (Winograd's F(2, 2) on blocks of rows: Parker and Parhi, "Low-area/power parallel
// FIR digital filters", 1997). With even and odd rows of the image X0, X1 and of the kernel H0, H1,
//   even output rows = X1 (H0 + H1) + (X0 - X1) H0,  odd output rows = X1 (H0 + H1) + (X0' - X1) H1
// where X0' is X0 shifted by one row. These are three convolutions of half the height in place of four, and each can be split
// again.
#pragma once

#include "tile.hpp"

namespace INSTRUCTION_SET {

// A kernel before packing: the weight at row r and column c is at r × pitch + c.
struct Weights {
    const float* data;
    int64_t pitch;
    int32_t rows, columns;

    Weights every_second(int32_t first) const {
        return {data + first * pitch, 2 * pitch, (rows + 1 - first) / 2, columns};
    }
};

inline Filter packed(const Weights& from, Scratch& scratch) {
    float* to = scratch.take(int64_t(from.rows) * from.columns);
    for (int32_t column = 0; column < from.columns; column++)
        for (int32_t row = 0; row < from.rows; row++)
            to[int64_t(column) * from.rows + row] = from.data[row * from.pitch + column];
    return {to, from.rows, from.columns};
}

inline Weights sum(const Weights& a, const Weights& b, Scratch& scratch) {
    float* to = scratch.take(int64_t(a.rows) * a.columns);
    const Weights found{to, a.columns, a.rows, a.columns};
    for (int32_t row = 0; row < a.rows; row++, to += a.columns) {
        const float *first = a.data + row * a.pitch, *second = b.data + row * b.pitch;
        for (int32_t column = 0; column < a.columns; column++)
            to[column] = first[column] + (row < b.rows ? second[column] : 0.0f);
    }
    return found;
}

// The 3^splits filters, in the order of split_plane's planes.
inline Filter* split_filter(Filter* to, const Weights& weights, int splits, Scratch& scratch) {
    if (splits == 0) {
        *to = packed(weights, scratch);
        return to + 1;
    }
    const Weights even = weights.every_second(0), odd = weights.every_second(1);
    to = split_filter(to, sum(even, odd, scratch), splits - 1, scratch);
    to = split_filter(to, even, splits - 1, scratch);
    return split_filter(to, odd, splits - 1, scratch);
}

// Rows 2m + first minus rows 2m + second.
inline Plane difference(const Plane& from, int32_t first, int32_t second, int32_t columns, Scratch& scratch) {
    const int32_t low = first < second ? first : second, high = first < second ? second : first;
    const int32_t begin = from.first <= high ? 0 : (from.first - high + 1) / 2, end = (from.end - low + 1) / 2;
    if (end <= begin) return {from.data, from.pitch, 0, 0};
    float* to = scratch.take(int64_t(end - begin) * columns);
    const Plane found{to, columns, begin, end};
    for (int32_t m = begin; m < end; m++, to += columns) {
        const float *a = from.row(2 * m + first), *b = from.row(2 * m + second);
        for (int32_t column = 0; column < columns; column += LANES) {
            const Vector left = a ? load(a + column) : Vector{}, right = b ? load(b + column) : Vector{};
            store(to + column, left - right);
        }
    }
    return found;
}

inline Plane* split_plane(Plane* to, const Plane& plane, int splits, int32_t columns, Scratch& scratch) {
    if (splits == 0) {
        *to = plane;
        return to + 1;
    }
    const int32_t begin = plane.first / 2, end = plane.end / 2;
    const Plane odd{plane.data + (2 * begin + 1 - plane.first) * plane.pitch, 2 * plane.pitch, begin, end};
    to = split_plane(to, odd, splits - 1, columns, scratch);
    to = split_plane(to, difference(plane, 0, 1, columns, scratch), splits - 1, columns, scratch);
    return split_plane(to, difference(plane, 2, 1, columns, scratch), splits - 1, columns, scratch);
}

// Number of planes and filters if image and kernel are split twice.
constexpr int MOST_PLANES = 9;

constexpr int power(int base, int exponent) { return exponent == 0 ? 1 : base * power(base, exponent - 1); }

// Adds to 2^SPLITS tiles: each tile has every 2^SPLITS-th output row, beginning with first_row(tile, SPLITS).
template <int SPLITS, int WIDTH>
inline void add_split(Tile<WIDTH>* tiles, const Plane* planes, const Filter* filters, Place place) {
    if constexpr (SPLITS == 0) {
        add(*tiles, *planes, *filters, place);
    } else {
        constexpr int half = power(2, SPLITS - 1), third = power(3, SPLITS - 1);
        Tile<WIDTH> shared[half] = {};
        add_split<SPLITS - 1>(shared, planes, filters, place);
        for (int tile = 0; tile < half; tile++)
            for (int row = 0; row < TILE_ROWS; row++)
                for (int vector = 0; vector < WIDTH; vector++) {
                    tiles[tile].sums[row][vector] += shared[tile].sums[row][vector];
                    tiles[half + tile].sums[row][vector] += shared[tile].sums[row][vector];
                }
        add_split<SPLITS - 1>(tiles, planes + third, filters + third, place);
        add_split<SPLITS - 1>(tiles + half, planes + 2 * third, filters + 2 * third, place);
    }
}

// The first output row, among 2^splits, of tile `tile` of add_split; the first split determines the last bit.
constexpr int first_row(int tile, int splits) {
    return splits == 0 ? 0 : tile / power(2, splits - 1) + 2 * first_row(tile % power(2, splits - 1), splits - 1);
}

}  // namespace INSTRUCTION_SET
