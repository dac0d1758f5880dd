// The inner loop of depthwise convolutions: a register tile of output rows × vectors of output columns. Each vector that is
// read, for a row of the image and a column of the kernel, serves all output rows of the tile that this row contributes to.
#pragma once

#include <type_traits>
#include <utility>

#include "padding.hpp"

namespace INSTRUCTION_SET {

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr bool HAS_32 = true;  // vector registers
#else
constexpr bool HAS_32 = false;
#endif
constexpr int TILE_ROWS = HAS_32 ? 7 : 5, TILE_WIDTH = 2;

// Sums of TILE_ROWS output rows, WIDTH vectors each.
template <int WIDTH>
struct Tile {
    Vector sums[TILE_ROWS][WIDTH];
};

// The position of a tile: its first output row and column. The last vector starts `last` floats after the first one; if the
// number of columns is not a multiple of LANES, it overlaps the vector before it and computes those columns twice.
struct Place {
    int32_t row, column, last;
};

#define INLINED __attribute__((always_inline))

template <class Body, int... AT>
inline INLINED void unrolled(const Body& body, std::integer_sequence<int, AT...>) {
    (body(std::integral_constant<int, AT>()), ...);
}

// Calls `body` with the constants 0, 1 … COUNT - 1; arrays that are indexed only by constants stay in registers.
template <int COUNT, class Body>
inline INLINED void unrolled(const Body& body) {
    unrolled(body, std::make_integer_sequence<int, COUNT>());
}

// Like load, but GCC can't repeat the read for several uses; most reads cross a cache line and cost double.
inline INLINED Vector load_once(const float* from) {
    using Unaligned = Vector __attribute__((aligned(4), may_alias));
    return *reinterpret_cast<const volatile Unaligned*>(from);
}

// Adds row `ROW` of the rows that a tile reads to the output rows it contributes to: those for which kernel row
// ROW - output row is one of KERNEL_ROWS.
template <int ROW, int KERNEL_ROWS, int WIDTH>
inline INLINED void add_row(Tile<WIDTH>& tile, const float* from, int32_t last, const float* weights) {
    constexpr int first = ROW < KERNEL_ROWS ? 0 : ROW - KERNEL_ROWS + 1, end = ROW < TILE_ROWS ? ROW + 1 : TILE_ROWS;
    unrolled<WIDTH>([&](auto vector) INLINED {
        const Vector read = load_once(from + (vector < WIDTH - 1 ? vector * LANES : last));
        unrolled<end - first>([&](auto row) INLINED {
            tile.sums[first + row][vector] += weights[ROW - first - row] * read;
        });
    });
}

// The range of rows, among those that a tile reads, that may be non-zero.
struct Range {
    int32_t begin, end;

    Range after(int32_t rows) const { return {begin - rows, end - rows}; }
};

// Calls add_row for the rows FIRST … END - 1; if CHECKED, only for those in range.
template <int FIRST, int END, int KERNEL_ROWS, bool CHECKED, int WIDTH>
inline INLINED void add_rows(Tile<WIDTH>& tile, const float* from, int64_t pitch, Range range, int32_t last,
                             const float* weights) {
    unrolled<END - FIRST>([&](auto i) INLINED {
        constexpr int row = FIRST + i;
        if (!CHECKED || (row >= range.begin && row < range.end))
            add_row<row, KERNEL_ROWS>(tile, from + row * pitch, last, weights);
    });
}

template <int KERNEL_ROWS, bool CHECKED, int WIDTH>
inline INLINED void add_columns(Tile<WIDTH>& tile, const float* from, int64_t pitch, Range range, int32_t last, Filter filter) {
    Tile<WIDTH> sums;
    unrolled<TILE_ROWS>([&](auto row) INLINED { unrolled<WIDTH>([&](auto i) INLINED { sums.sums[row][i] = tile.sums[row][i]; }); });
    for (int32_t tap = 0; tap < filter.taps; tap++, from++, filter.weights += filter.rows) {
        if constexpr (KERNEL_ROWS < TILE_ROWS) {
            add_rows<0, TILE_ROWS + KERNEL_ROWS - 1, KERNEL_ROWS, CHECKED>(sums, from, pitch, range, last, filter.weights);
        } else {
            // Rows in the middle contribute to all output rows; the rows before and after them only to some.
            const int32_t more = filter.rows - TILE_ROWS;
            add_rows<0, TILE_ROWS - 1, TILE_ROWS, CHECKED>(sums, from, pitch, range, last, filter.weights);
            const int32_t end = CHECKED && range.end < filter.rows ? range.end : filter.rows;
            int32_t row = CHECKED && range.begin >= TILE_ROWS ? range.begin : TILE_ROWS - 1;
            for (const float* at = from + row * pitch; row < end; row++, at += pitch)
                add_row<TILE_ROWS - 1, TILE_ROWS>(sums, at, last, filter.weights + row - (TILE_ROWS - 1));
            add_rows<TILE_ROWS, 2 * TILE_ROWS - 1, TILE_ROWS, CHECKED>(sums, from + more * pitch, pitch, range.after(more), last,
                                                                       filter.weights + more);
        }
    }
    unrolled<TILE_ROWS>([&](auto row) INLINED { unrolled<WIDTH>([&](auto i) INLINED { tile.sums[row][i] = sums.sums[row][i]; }); });
}

// Adds a plane's convolution with a filter of KERNEL_ROWS rows; if KERNEL_ROWS is TILE_ROWS, of that many or more.
template <int KERNEL_ROWS, int WIDTH>
inline INLINED void add_filter(Tile<WIDTH>& tile, const Plane& plane, const Filter& filter, Place place) {
    const float* from = plane.data + (int64_t(place.row) - plane.first) * plane.pitch + place.column;
    const Range range{plane.first - place.row, plane.end - place.row};
    if (range.begin <= 0 && range.end >= filter.rows + TILE_ROWS - 1)
        add_columns<KERNEL_ROWS, false>(tile, from, plane.pitch, range, place.last, filter);
    else add_columns<KERNEL_ROWS, true>(tile, from, plane.pitch, range, place.last, filter);
}

template <int KERNEL_ROWS, int WIDTH>
__attribute__((noinline)) void add_filter_in_memory(Tile<WIDTH>& tile, const Plane& plane, const Filter& filter, Place place) {
    add_filter<KERNEL_ROWS>(tile, plane, filter, place);
}

template <int WIDTH, int KERNEL_ROWS = 1>
inline void add(Tile<WIDTH>& tile, const Plane& plane, const Filter& filter, Place place) {
    if constexpr (KERNEL_ROWS < TILE_ROWS)
        return filter.rows <= KERNEL_ROWS ? add_filter_in_memory<KERNEL_ROWS>(tile, plane, filter, place)
                                          : add<WIDTH, KERNEL_ROWS + 1>(tile, plane, filter, place);
    else add_filter_in_memory<TILE_ROWS>(tile, plane, filter, place);
}

}  // namespace INSTRUCTION_SET
