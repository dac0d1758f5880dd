// Depthwise convolutions, computed in vectors of channels, by Fourier transforms, or in vectors of pixels channel by channel.
// In vectors of pixels, small kernels read the image in place; others, with stride 1, read a copy padded with zeros.
#pragma once

#include "activation.hpp"
#include "channel_vectors.hpp"
#include "depthwise_tiles.hpp"
#include "fourier.hpp"
#include "row_pairs.hpp"
#include "small_kernel.hpp"

namespace INSTRUCTION_SET {

// Splitting pays for tall kernels if the remaining rows still fill tiles.
inline int splits_of(const DepthwiseLayer& layer) {
    if (layer.kernel_height < 11 || layer.out_height <= 2 * TILE_ROWS) return 0;
    return layer.kernel_height < 17 || layer.out_height <= 3 * TILE_ROWS ? 1 : 2;
}

inline void depthwise_in_planes(const DepthwiseLayer& layer, const float* x, float* y, int32_t first, int32_t end) {
    Scratch& scratch = scratch_of_thread();
    const int64_t in = int64_t(layer.height) * layer.width, out = int64_t(layer.out_height) * layer.out_width;
    const int64_t kernel = int64_t(layer.kernel_height) * layer.kernel_width;
    const int32_t pitch = row_size(layer.width, layer.left, (layer.out_width < LANES ? LANES : layer.out_width) + layer.kernel_width - 1);
    const int64_t size = int64_t(layer.height) * pitch;
    scratch.reset(4 * size + 16 * pitch + 4 * kernel + 64 * layer.kernel_width, 3 * MOST_PLANES + 1);
    float* data = scratch.take(size + LANES);
    std::memset(data, 0, (size + LANES) * sizeof(float));
    // Aligned so that columns, which are written a vector at a time, fill whole cache lines.
    const Padded image{data + (LANES - layer.left % LANES) % LANES, pitch, layer.left};
    const Plane whole{image.data, pitch, layer.top, layer.top + layer.height};
    const Finish finish(layer.activation);
    const Depthwise depthwise{layer, splits_of(layer), finish.low, finish.high};
    const int64_t mark = scratch.mark();
    Plane planes[MOST_PLANES];
    Filter filters[MOST_PLANES];
    for (int64_t channel = first; channel < end; channel++) {
        scratch.back_to(mark);
        copy_in(image, x + channel * in, layer.height, layer.width);
        const float* weights = layer.weights + channel * kernel;
        split_filter(filters, {weights, layer.kernel_width, layer.kernel_height, layer.kernel_width}, depthwise.splits, scratch);
        split_plane(planes, whole, depthwise.splits, pitch, scratch);
        compute(depthwise, planes, filters, layer.bias[channel], y + channel * out);
        if (finish.curved) curve(y + channel * out, out, finish.activation);
    }
}

inline void depthwise_in_pairs(const DepthwiseLayer& layer, const float* x, float* y, int32_t first, int32_t end) {
    const Finish finish(layer.activation);
    const Depthwise depthwise{layer, 0, finish.low, finish.high};
    const int64_t in = int64_t(layer.height) * layer.width, out = int64_t(layer.out_height) * layer.out_width;
    const int32_t read = (layer.out_width < LANES ? LANES : layer.out_width) + layer.kernel_width - 1;
    RowPairs pairs{nullptr, nullptr, nullptr, row_size(layer.width, layer.left, read), pairs_of(layer)};
    Scratch& scratch = scratch_of_thread();
    const int64_t size = 3 * pairs.size() + LANES;
    scratch.reset(size + ODD_ROWS * layer.kernel_width, 2);
    float *data = scratch.take(size), *sums = scratch.take(ODD_ROWS * layer.kernel_width);
    std::memset(data, 0, size * sizeof(float));
    // Aligned so that columns, which are written a vector at a time, fill whole cache lines.
    pairs.odd = data + (LANES - layer.left % LANES) % LANES;
    pairs.before = pairs.odd + pairs.size();
    pairs.after = pairs.before + pairs.size();
    for (int32_t channel = first; channel < end; channel++) {
        pair_rows(pairs, layer, x + channel * in);
        const float* weights = layer.weights + int64_t(channel) * layer.kernel_height * layer.kernel_width;
        compute_pairs(depthwise, pairs, weights, summed(weights, layer.kernel_width, sums), layer.bias[channel], y + channel * out);
        if (finish.curved) curve(y + channel * out, out, finish.activation);
    }
}

inline void depthwise_by_pixels(const DepthwiseLayer& layer, const float* x, float* y, int32_t first, int32_t end) {
    if (is_small(layer, end - first)) depthwise_of_small(layer, x, y, first, end);
    else if (layer.stride > 1 || is_exchanged(layer)) depthwise_by_channels(layer, x, y, first, end);
    else if (has_row_pairs(layer)) depthwise_in_pairs(layer, x, y, first, end);
    else depthwise_in_planes(layer, x, y, first, end);
}

inline void depthwise_channels(const DepthwiseLayer& layer, const float* x, float* y, int32_t first, int32_t end) {
    if (layer.spectrum) depthwise_by_fourier(layer, x, y, first, end);
    else if (layer.in_groups()) depthwise_by_channels(layer, x, y, first, end);
    else depthwise_by_pixels(layer, x, y, first, end);
}

}  // namespace INSTRUCTION_SET
