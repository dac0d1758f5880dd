// The mean of a channel.
#pragma once

#include "vector.hpp"

namespace INSTRUCTION_SET {

// Several sums hide each other's latency, and keep what is rounded away small.
inline float mean(const float* values, int64_t count) {
    constexpr int chains = 4;
    Vector sums[chains] = {};
    int64_t at = 0;
    for (; at + chains * LANES <= count; at += chains * LANES)
        for (int chain = 0; chain < chains; chain++) sums[chain] += load(values + at + chain * LANES);
    float lanes[LANES], sum = 0;
    store(lanes, (sums[0] + sums[1]) + (sums[2] + sums[3]));
    for (float lane : lanes) sum += lane;
    for (; at < count; at++) sum += values[at];
    return sum / float(count);
}

}  // namespace INSTRUCTION_SET
