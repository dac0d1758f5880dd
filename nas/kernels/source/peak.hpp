// The peak rate of multiply-adds of a core.
#pragma once

#include "vector.hpp"

namespace INSTRUCTION_SET {

// Runs `steps` steps on vectors that stay in registers; returns the number of multiply-adds.
inline int64_t multiply_adds(int64_t steps) {
    constexpr int chains = 12;  // enough to hide each other's latency, few enough for 16 registers
    volatile float unknown = 0.999f;
    const Vector factor = broadcast(unknown), term = broadcast(1.0f - unknown);
    Vector sums[chains], total{};
    for (Vector& sum : sums) sum = broadcast(unknown);
    for (int64_t step = 0; step < steps; step++)
        for (Vector& sum : sums) sum = sum * factor + term;
    for (const Vector& sum : sums) total += sum;
    unknown = total[0];
    return steps * chains * LANES;
}

}  // namespace INSTRUCTION_SET
