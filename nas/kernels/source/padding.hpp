// Copies of one channel with zeros around it, so that kernels read whole vectors anywhere.
#pragma once

#include "vector.hpp"

namespace INSTRUCTION_SET {

// An image whose columns are dealt out to `planes` planes: column c of the padded image is element c / planes of plane
// c % planes. Neighbours in an output vector are neighbours in a plane, so planes = stride makes every read contiguous.
struct Padded {
    float* data;      // plane 0 of row 0
    int32_t planes;
    int32_t plane;    // floats from a plane to the next
    int32_t left;     // columns of zeros; negative where columns are cut off

    int32_t pitch() const { return planes * plane; }
};

inline int32_t rounded_up(int32_t value, int32_t step) { return (value + step - 1) / step * step; }

// Floats of a plane that holds `width` columns after `left` and of which the first `read` elements are read.
inline int32_t plane_size(int32_t width, int32_t left, int32_t planes, int32_t read) {
    const int32_t written = ((left < 0 ? 0 : left) + planes - 1) / planes + rounded_up(width, planes * LANES) / planes;
    return rounded_up(written < read ? read : written, LANES);
}

// The first `count` elements, the others zero.
inline __attribute__((always_inline)) Vector load_some(const float* from, int64_t count) {
    float found[LANES] = {};
    std::memcpy(found, from, count * sizeof(float));
    return load(found);
}

// The next vector of a row of which `rest` columns are left, `room` floats before the end of the channel.
inline __attribute__((always_inline)) Vector load_within(const float* from, int32_t rest, int64_t room) {
    if (rest >= LANES) return load(from);
    if (room < LANES) return load_some(from, rest);
    Integers lane;
    for (int i = 0; i < LANES; i++) lane[i] = i;
    return lane < rest ? load(from) : broadcast(0.0f);
}

inline void copy_in_one_plane(const Padded& to, const float* x, int32_t height, int32_t width) {
    const float* end = x + int64_t(height) * width;
    for (int32_t row = 0; row < height; row++, x += width)
        for (int32_t column = 0; column < width; column += LANES)
            store(to.data + int64_t(row) * to.pitch() + to.left + column,
                  load_within(x + column, width - column, end - x - column));
}

inline void copy_in_two_planes(const Padded& to, const float* x, int32_t height, int32_t width) {
    const float* end = x + int64_t(height) * width;
    Integers evens;
    for (int i = 0; i < LANES; i++) evens[i] = 2 * i;
    for (int32_t row = 0; row < height; row++, x += width) {
        float* planes = to.data + int64_t(row) * to.pitch();
        float* even = planes + (to.left % 2) * to.plane + to.left / 2;
        float* odd = planes + ((to.left + 1) % 2) * to.plane + (to.left + 1) / 2;
        for (int32_t column = 0; column < width; column += 2 * LANES) {
            const float* from = x + column;
            const int32_t rest = width - column;
            const Vector a = load_within(from, rest, end - from);
            const Vector b = rest > LANES ? load_within(from + LANES, rest - LANES, end - from - LANES) : Vector{};
            store(even + column / 2, __builtin_shuffle(a, b, evens));
            store(odd + column / 2, __builtin_shuffle(a, b, evens + 1));
        }
    }
}

inline void copy_in_planes(const Padded& to, const float* x, int32_t height, int32_t width) {
    const int32_t from = to.left < 0 ? -to.left : 0, room = to.pitch() - to.left, until = width < room ? width : room;
    for (int32_t row = 0; row < height; row++)
        for (int32_t column = from; column < until; column++) {
            const int32_t at = column + to.left;
            to.data[int64_t(row) * to.pitch() + at % to.planes * to.plane + at / to.planes] = x[int64_t(row) * width + column];
        }
}

// Writes x (height, width) into an image that is zero outside it.
inline void copy_in(const Padded& to, const float* x, int32_t height, int32_t width) {
    if (to.planes == 1 && to.left >= 0) return copy_in_one_plane(to, x, height, width);
    if (to.planes == 2 && to.left >= 0) return copy_in_two_planes(to, x, height, width);
    copy_in_planes(to, x, height, width);
}

}  // namespace INSTRUCTION_SET
