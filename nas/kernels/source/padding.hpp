// Copies of one channel with zeros around it, so that kernels can read whole vectors anywhere.
#pragma once

#include "scratch.hpp"
#include "vector.hpp"

namespace INSTRUCTION_SET {

// Rows first … end - 1 of an image, `pitch` floats apart; its other rows are zero.
struct Plane {
    const float* data;
    int64_t pitch;
    int32_t first, end;

    const float* row(int32_t index) const { return index < first || index >= end ? nullptr : data + (index - first) * pitch; }
};

// A kernel stored column by column: the weight at (row, tap) is at tap × rows + row.
struct Filter {
    const float* weights;
    int32_t rows, taps;
};

// An image with columns of zeros in front of each row.
struct Padded {
    float* data;  // start of row 0
    int32_t pitch, left;
};

inline int32_t rounded_up(int32_t value, int32_t step) { return (value + step - 1) / step * step; }

// Number of floats of a row that holds `width` columns after `left` zeros, and whose first `read` floats are read.
inline int32_t row_size(int32_t width, int32_t left, int32_t read) {
    const int32_t written = left + rounded_up(width, LANES);
    return rounded_up(written < read ? read : written, LANES);
}

// Loads the first `count` elements; the other lanes are zero.
inline __attribute__((always_inline)) Vector load_some(const float* from, int64_t count) {
    float found[LANES] = {};
    std::memcpy(found, from, count * sizeof(float));
    return load(found);
}

// Stores the first `count` lanes.
template <int STEP = LANES / 2>
inline __attribute__((always_inline)) void store_some(float* to, const float* from, int64_t count) {
    if constexpr (STEP > 0) {
        if (count & STEP) std::memcpy(to, from, STEP * sizeof(float));
        store_some<STEP / 2>(to + (count & STEP), from + (count & STEP), count);
    }
}

// One vector of each row of an image. In the first row it starts at `from`, with `rest` columns left in the row. Values past
// the row are replaced by zeros, and nothing is read from `end` on.
struct Strip {
    const float* from;
    const float* end;
    int32_t rest, width;

    Strip(const float* x, int32_t height, int32_t width, int32_t column)
        : from(x + column), end(x + int64_t(height) * width), rest(width - column), width(width) {}

    // Reads a vector in a row with at least LANES floats before `end`.
    template <bool WHOLE>
    inline __attribute__((always_inline)) Vector read(const float* at) const {
        if constexpr (WHOLE) return load(at);
        Integers lane;
        for (int i = 0; i < LANES; i++) lane[i] = i;
        return lane < rest ? load(at) : broadcast(0.0f);
    }

    // Reads a vector in any row.
    Vector read_last(const float* at, int64_t size) const {
        if (end - at >= LANES) return read<false>(at);
        if (size < LANES) return load_some(at, rest < 0 ? 0 : rest);
        Integers lane;
        for (int i = 0; i < LANES; i++) lane[i] = i;
        const Vector found = load(end - LANES);
        return lane < rest ? __builtin_shuffle(found, lane + int32_t(LANES - (end - at))) : broadcast(0.0f);
    }

    // Number of rows with at least LANES floats before `end`.
    int32_t safe_rows(int32_t height) const {
        const int64_t safe = end - from < LANES ? 0 : (end - from - LANES) / width + 1;
        return safe < height ? int32_t(safe) : height;
    }
};

template <bool WHOLE>
inline __attribute__((always_inline)) void copy_strip(const Strip& strip, float* to, int64_t pitch, int32_t rows) {
    const float* from = strip.from;
    for (int32_t row = 0; row < rows; row++, from += strip.width, to += pitch) store(to, strip.read<WHOLE>(from));
}

// Copies x (height, width) into an image that is zero around it.
inline void copy_in(const Padded& to, const float* x, int32_t height, int32_t width) {
    for (int32_t column = 0; column < width; column += LANES) {
        const Strip strip(x, height, width, column);
        float* at = to.data + to.left + column;
        if (strip.rest >= LANES) copy_strip<true>(strip, at, to.pitch, height);
        else {
            const int32_t safe = strip.safe_rows(height);
            copy_strip<false>(strip, at, to.pitch, safe);
            for (int32_t row = safe; row < height; row++)
                store(at + int64_t(row) * to.pitch, strip.read_last(strip.from + int64_t(row) * width, int64_t(height) * width));
        }
    }
}

}  // namespace INSTRUCTION_SET
