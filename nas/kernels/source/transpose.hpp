// Transposes images between channels last and channels first.
#pragma once

#include "vector.hpp"

namespace INSTRUCTION_SET {

using Quad = float __attribute__((vector_size(16)));

#ifdef __clang__
#define PICKED(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
using QuadOrder = int32_t __attribute__((vector_size(16)));
#define PICKED(a, b, ...) __builtin_shuffle(a, b, QuadOrder{__VA_ARGS__})
#endif

inline __attribute__((always_inline)) void transpose_4x4(const float* from, int64_t from_stride, float* to, int64_t to_stride) {
    Quad a, b, c, d;
    std::memcpy(&a, from, sizeof a);
    std::memcpy(&b, from + from_stride, sizeof b);
    std::memcpy(&c, from + 2 * from_stride, sizeof c);
    std::memcpy(&d, from + 3 * from_stride, sizeof d);
    const Quad ab_low = PICKED(a, b, 0, 4, 1, 5), ab_high = PICKED(a, b, 2, 6, 3, 7);
    const Quad cd_low = PICKED(c, d, 0, 4, 1, 5), cd_high = PICKED(c, d, 2, 6, 3, 7);
    a = PICKED(ab_low, cd_low, 0, 1, 4, 5);
    b = PICKED(ab_low, cd_low, 2, 3, 6, 7);
    c = PICKED(ab_high, cd_high, 0, 1, 4, 5);
    d = PICKED(ab_high, cd_high, 2, 3, 6, 7);
    std::memcpy(to, &a, sizeof a);
    std::memcpy(to + to_stride, &b, sizeof b);
    std::memcpy(to + 2 * to_stride, &c, sizeof c);
    std::memcpy(to + 3 * to_stride, &d, sizeof d);
}

#undef PICKED

// Transposes `from` (rows, columns) to `to` (columns, rows), in squares with sides of one cache line, so that each line is
// read and written once.
inline void transpose(const float* from, int64_t from_stride, int64_t rows, int64_t columns, float* to, int64_t to_stride) {
    constexpr int64_t side = 16;
    for (int64_t top = 0; top < rows; top += side)
        for (int64_t left = 0; left < columns; left += side) {
            const int64_t bottom = least(top + side, rows), right = least(left + side, columns);
            for (int64_t row = top; row < bottom; row += 4)
                for (int64_t column = left; column < right; column += 4) {
                    if (row + 4 <= bottom && column + 4 <= right) {
                        transpose_4x4(from + row * from_stride + column, from_stride, to + column * to_stride + row, to_stride);
                        continue;
                    }
                    for (int64_t i = row; i < least(row + 4, bottom); i++)
                        for (int64_t j = column; j < least(column + 4, right); j++)
                            to[j * to_stride + i] = from[i * from_stride + j];
                }
        }
}

}  // namespace INSTRUCTION_SET
