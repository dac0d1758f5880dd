// Kernels of seven rows with three quarters of the multiplications: the sums of fast_filter.hpp, split once, with all three
// parts of a tile in registers at the same time and the weights read in place.
#pragma once

#include "depthwise_tiles.hpp"

namespace INSTRUCTION_SET {

// The three parts' sums and a column of the kernel must fit into registers.
constexpr bool HAS_ROW_PAIRS = TILE_ROWS == 7;
constexpr int PAIR_ROWS = 7, EVEN_ROWS = 4, ODD_ROWS = 3;  // of the kernel
constexpr int PAIRS = 7;                                   // of output rows, in a tile

// Every second row of the padded image from the second on, and its differences from the rows before and after it; row m of
// each array belongs to pair m.
struct RowPairs {
    float *odd, *before, *after;
    int64_t pitch;
    int32_t count;

    int64_t size() const { return count * pitch; }
};

inline bool has_row_pairs(const DepthwiseLayer& layer) {
    return HAS_ROW_PAIRS && layer.stride == 1 && layer.kernel_height == PAIR_ROWS &&
           layer.out_height >= 2 * PAIRS - 1;
}

inline int32_t pairs_of(const DepthwiseLayer& layer) { return (layer.out_height + 1) / 2 + EVEN_ROWS - 1; }

// Row `row` of a strip, of which the first `safe` rows can be read as whole vectors; zeros outside the image.
template <bool WHOLE>
inline INLINED Vector read_row(const Strip& strip, int32_t row, int32_t safe, int32_t height) {
    const float* from = strip.from + int64_t(row) * strip.width;
    if (uint32_t(row) < uint32_t(safe)) return strip.read<WHOLE>(from);
    if (uint32_t(row) < uint32_t(height)) return strip.read_last(from, int64_t(height) * strip.width);
    return Vector{};
}

template <bool WHOLE>
inline INLINED void pair_strip(const RowPairs& to, const Strip& strip, int64_t at, int32_t top, int32_t height) {
    const int32_t safe = WHOLE ? height : strip.safe_rows(height), end = (top + height + 1) / 2;
    int32_t pair = top > 2 ? (top - 1) / 2 : 0;
    Vector even = read_row<WHOLE>(strip, 2 * pair - top, safe, height);
    for (at += pair * to.pitch; pair < (end < to.count ? end : to.count); pair++, at += to.pitch) {
        const Vector odd = read_row<WHOLE>(strip, 2 * pair + 1 - top, safe, height);
        const Vector next = read_row<WHOLE>(strip, 2 * pair + 2 - top, safe, height);
        store(to.odd + at, odd);
        store(to.before + at, even - odd);
        store(to.after + at, next - odd);
        even = next;
    }
}

inline void pair_rows(const RowPairs& to, const DepthwiseLayer& layer, const float* x) {
    for (int32_t column = 0; column < layer.width; column += LANES) {
        const Strip strip(x, layer.height, layer.width, column);
        if (strip.rest >= LANES) pair_strip<true>(to, strip, layer.left + column, layer.top, layer.height);
        else pair_strip<false>(to, strip, layer.left + column, layer.top, layer.height);
    }
}

// Adds the rows FIRST … END - 1 that the tile reads, times one column of a part of the kernel.
template <int FIRST, int END, int ROWS>
inline INLINED void add_pairs(Vector (&sums)[PAIRS], const float* from, int64_t pitch, const Vector (&weights)[ROWS]) {
    from += FIRST * pitch;
    unrolled<END - FIRST>([&](auto i) INLINED {
        constexpr int row = FIRST + i, first = row < ROWS ? 0 : row - ROWS + 1, end = row < PAIRS ? row + 1 : PAIRS;
        const Vector read = load_once(from);
        from += pitch;
        asm("" : "+r"(from));  // GCC would keep an address of each row in memory
        unrolled<end - first>([&](auto of) INLINED { sums[end - 1 - of] += weights[row - end + 1 + of] * read; });
    });
}

// Sums of even and odd rows of the kernel, without its last row, which is even.
inline const float* summed(const float* weights, int32_t columns, float* to) {
    for (int32_t pair = 0; pair < ODD_ROWS; pair++, weights += columns)
        for (int32_t column = 0; column < columns; column++, weights++) to[pair * columns + column] = weights[0] + weights[columns];
    return to;
}

__attribute__((noinline)) inline void store_checked(const Depthwise& depthwise, const Vector* rows, float* y, Place place) {
    for (int32_t row = 0; row < 2 * PAIRS && place.row + row < depthwise.layer.out_height; row++) {
        const Vector found[1] = {rows[row]};
        store_row(depthwise, found, y, place.row + row, place);
    }
}

// Like store_row for a whole tile; unchecked stores are used if no vector, except the last row's, goes past the image.
inline INLINED void store_pairs(const Depthwise& depthwise, const Vector (&rows)[2 * PAIRS], float* y, Place place) {
    constexpr int last = 2 * PAIRS - 1;
    const int64_t width = depthwise.layer.out_width, height = depthwise.layer.out_height;
    const int64_t at = place.row * width + place.column;
    if (place.row + last >= height || at + (last - 1) * width + LANES > height * width)
        return store_checked(depthwise, rows, y, place);
    const Vector low = depthwise.low, high = depthwise.high;
    float* to = y + at;
    unrolled<last>([&](auto row) INLINED {
        store(to, bounded(rows[row], low, high));
        to += width;
    });
    const Vector found[1] = {rows[last]};
    store_row(depthwise, found, y, place.row + last, place);
}

// Computes a tile. At the image's TOP or BOTTOM, the first or last rows that it reads are zero and are skipped.
template <bool TOP, bool BOTTOM>
__attribute__((noinline)) void compute_pairs(const Depthwise& depthwise, const RowPairs& pairs, const float* weights,
                                             const float* sums, float bias, float* y, Place place) {
    constexpr int last = PAIRS + EVEN_ROWS - 1;
    const int64_t pitch = pairs.pitch, step = depthwise.layer.kernel_width, at = place.row / 2 * pitch + place.column;
    const float *odd = pairs.odd + at, *before = pairs.before + at, *after = pairs.after + at;
    Vector both[PAIRS], even_sums[PAIRS], odd_sums[PAIRS];
    unrolled<PAIRS>([&](auto i) INLINED { both[i] = broadcast(bias), even_sums[i] = odd_sums[i] = Vector{}; });
    for (int64_t tap = 0; tap < step; tap++, weights++, sums++) {
        Vector even[EVEN_ROWS], other[ODD_ROWS], sum[EVEN_ROWS];
        unrolled<EVEN_ROWS>([&](auto i) INLINED { even[i] = broadcast(weights[2 * i * step]); });
        unrolled<ODD_ROWS>([&](auto i) INLINED { other[i] = broadcast(weights[(2 * i + 1) * step]), sum[i] = broadcast(sums[i * step]); });
        sum[ODD_ROWS] = even[ODD_ROWS];
        add_pairs<TOP, BOTTOM ? last - 2 : last>(both, odd + tap, pitch, sum);
        add_pairs<TOP, BOTTOM ? last - 1 : last>(even_sums, before + tap, pitch, even);
        add_pairs<TOP, BOTTOM ? last - 2 : last - 1>(odd_sums, after + tap, pitch, other);
    }
    Vector sums_of_rows[2 * PAIRS];
    unrolled<PAIRS>([&](auto i) INLINED {
        sums_of_rows[2 * i] = both[i] + even_sums[i], sums_of_rows[2 * i + 1] = both[i] + odd_sums[i];
    });
    store_pairs(depthwise, sums_of_rows, y, place);
}

inline void compute_pairs(const Depthwise& depthwise, const RowPairs& pairs, const float* weights, const float* sums, float bias, float* y) {
    const DepthwiseLayer& layer = depthwise.layer;
    const int32_t end = layer.top + layer.height, last = (layer.out_height + 1) / 2 - PAIRS;
    for (int32_t first = 0; first < layer.out_width; first += LANES) {
        const int32_t most = layer.out_width > LANES ? layer.out_width - LANES : 0, column = first < most ? first : most;
        for (int32_t at = 0; at < last + PAIRS; at += PAIRS) {
            const int32_t pair = at < last ? at : last;
            const Place place{2 * pair, column, 0};
            const bool top = layer.top >= 2 * pair + 3, bottom = end <= 2 * pair + 2 * (PAIRS + EVEN_ROWS) - 5;
            if (top && bottom) compute_pairs<true, true>(depthwise, pairs, weights, sums, bias, y, place);
            else if (top) compute_pairs<true, false>(depthwise, pairs, weights, sums, bias, y, place);
            else if (bottom) compute_pairs<false, true>(depthwise, pairs, weights, sums, bias, y, place);
            else compute_pairs<false, false>(depthwise, pairs, weights, sums, bias, y, place);
        }
    }
}

}  // namespace INSTRUCTION_SET
