// The means of channels.
#pragma once

#include "kernels.hpp"
#include "vector.hpp"

namespace INSTRUCTION_SET {

// Several partial sums hide each other's latency and keep rounding errors small.
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

// The means of LANES channels that lie side by side; pixels are `step` floats apart.
inline Vector means_of_vectors(const float* values, int64_t step, int64_t count) {
    constexpr int chains = 4;
    Vector sums[chains] = {};
    int64_t at = 0;
    for (; at + chains <= count; at += chains)
        for (int chain = 0; chain < chains; chain++) sums[chain] += load(values + (at + chain) * step);
    for (; at < count; at++) sums[0] += load(values + at * step);
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) / float(count);
}

// The means of channels first … last - 1 of a layer's output.
inline void means(const DepthwiseLayer& layer, const float* y, float* to, int32_t first, int32_t last) {
    const int64_t count = int64_t(layer.out_height) * layer.out_width;
    if (!layer.writes_last) {
        for (int64_t channel = first; channel < last; channel++) to[channel] = mean(y + channel * count, count);
        return;
    }
    for (; last - first >= LANES; first += LANES) store(to + first, means_of_vectors(y + first, layer.channels, count));
    for (; first < last; first++) {
        double sum = 0;
        for (int64_t pixel = 0; pixel < count; pixel++) sum += y[pixel * layer.channels + first];
        to[first] = float(sum / double(count));
    }
}

}  // namespace INSTRUCTION_SET
