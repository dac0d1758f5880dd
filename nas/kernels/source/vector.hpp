// Vectors of LANES floats in the vector extension of GCC and Clang. Each instruction set compiles this file with its own
// LANES and flags, in its own namespace (INSTRUCTION_SET).
#pragma once

#include <cstdint>
#include <cstring>

namespace INSTRUCTION_SET {

using Vector = float __attribute__((vector_size(4 * LANES)));
using Integers = int32_t __attribute__((vector_size(4 * LANES)));

inline __attribute__((always_inline)) Vector load(const float* from) {
    Vector found;
    std::memcpy(&found, from, sizeof found);
    return found;
}

inline __attribute__((always_inline)) void store(float* to, Vector value) { std::memcpy(to, &value, sizeof value); }

inline __attribute__((always_inline)) Vector broadcast(float value) { return value - Vector{}; }

inline __attribute__((always_inline)) Vector larger(Vector a, Vector b) { return a > b ? a : b; }

inline __attribute__((always_inline)) Vector smaller(Vector a, Vector b) { return a < b ? a : b; }

// Clamps to bounds; NaN stays NaN.
inline __attribute__((always_inline)) Vector bounded(Vector x, Vector low, Vector high) {
    x = x < low ? low : x;
    return x > high ? high : x;
}

// Replaces std::min, because the linker could keep a copy of that which was compiled for another instruction set.
inline __attribute__((always_inline)) int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

}  // namespace INSTRUCTION_SET
