// A depthwise convolution together with the layers before and after it, a few channels at a time, so that intermediate
// values stay in the cache.
#pragma once

#include "kernels.hpp"

// A sparse layer, channels first, that computes the input of a depthwise layer.
struct Expansion {
    SparseLayer layer;
    const InstructionSet* kernels;
    int32_t width;
};

struct Chain {
    const Expansion* expansion;  // computes the depthwise layer's input from x, channels first; null: x is that input
    DepthwiseLayer depthwise;
    const InstructionSet* kernels;

    // Channels are computed in multiples of this number, except for the last ones.
    int32_t unit() const;

    // Computes one image: channels first … last - 1 of y (channels, out_height, out_width), and their means if `means` is not
    // null. `first` is a multiple of unit().
    void compute(const float* x, float* y, float* means, int32_t first, int32_t last) const;

private:
    int32_t channels_at_a_time(int32_t most) const;
    const float* expanded(const float* x, int32_t first, int32_t last) const;
};
