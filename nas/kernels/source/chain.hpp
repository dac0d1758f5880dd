// A depthwise convolution with what stands before and behind it, a few channels at a time: what lies between stays in the
// cache.
#pragma once

#include "kernels.hpp"

// A sparse layer, channels first, that computes what a depthwise layer reads. Its values may be scaled by what it reads.
struct Expansion {
    SparseLayer layer;
    const InstructionSet* kernels;
    int32_t width;
};

struct Chain {
    const Expansion* expansion;  // null: x is what the depthwise layer reads; else that has its channels first
    DepthwiseLayer depthwise;
    const InstructionSet* kernels;

    // Channels are computed in multiples of that, but for the last.
    int32_t unit() const;

    // One image: channels first … last - 1, first a multiple of unit(), of y (channels, out_height, out_width), and the mean
    // of each, where `means` isn't null.
    void compute(const float* x, float* y, float* means, int32_t first, int32_t last) const;

private:
    int32_t channels_at_a_time(int32_t most) const;
    const float* expanded(const float* x, int32_t first, int32_t last) const;
};
