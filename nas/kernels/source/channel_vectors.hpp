// Depthwise convolutions as sums of products in vectors of channels: no lanes are shuffled, and vectors are full even for
// small images. Gathering the vectors costs about as much as 3×3 products.
#pragma once

#include "groups.hpp"
#include "scratch.hpp"
#include "tile.hpp"

namespace INSTRUCTION_SET {

// If the kernel is wider than the image, most of it is multiplied by zeros. Exchanging image and kernel, both turned by 180°,
// gives the same sums with fewer columns.
inline bool is_exchanged(const DepthwiseLayer& layer) { return layer.stride == 1 && layer.kernel_width > layer.width; }

inline DepthwiseLayer exchanged(const DepthwiseLayer& layer) {
    DepthwiseLayer found = layer;
    found.top += layer.height - layer.kernel_height;
    found.left += layer.width - layer.kernel_width;
    found.height = layer.kernel_height, found.kernel_height = layer.height;
    found.width = layer.kernel_width, found.kernel_width = layer.width;
    return found;
}

// Rows of vectors; `pitch` and `step` are distances of rows and vectors in floats.
struct Vectors {
    const float* data;
    int64_t pitch, step;

    Vectors turned(int64_t rows, int64_t columns) const {
        return {data + (rows - 1) * pitch + (columns - 1) * step, -pitch, -step};
    }
    const float* at(int64_t row, int64_t column) const { return data + row * pitch + column * step; }
};

// An image with zeros beside its rows. Columns whose distance is a multiple of the stride form one phase and lie side by side,
// in the order in which they are read.
struct Phases {
    explicit Phases(const DepthwiseLayer& layer)
        : count(least(layer.stride, layer.kernel_width)),
          size((int64_t(layer.out_width) + (layer.kernel_width - 1) / layer.stride) * LANES) {}

    int64_t count, size;
    float* data = nullptr;

    int64_t pitch() const { return count * size; }
};

// Writes the columns of the image that are read.
inline void write_rows(const DepthwiseLayer& layer, const Vectors& from, const Phases& to) {
    const int32_t first = layer.left < 0 ? -layer.left : 0;
    for (int64_t row = 0; row < layer.height; row++) {
        float* line = to.data + row * to.pitch();
        int64_t phase = (layer.left + first) % layer.stride, at = (layer.left + first) / layer.stride * LANES;
        for (int32_t column = first; column < layer.width && at < to.size; column++) {
            if (phase < to.count) store(line + phase * to.size + at, load(from.at(row, column)));
            if (++phase == layer.stride) phase = 0, at += LANES;
        }
    }
}

// Computes WIDTH adjacent outputs.
template <int WIDTH>
inline void add_products(const DepthwiseLayer& layer, const Phases& image, const Vectors& kernel, int64_t row, int64_t column,
                         Vector bias, float* to) {
    // The rows of the kernel that lie on rows of the image.
    const int64_t top = row * layer.stride - layer.top, first = top < 0 ? -top : 0, end = least(layer.kernel_height, layer.height - top);
    Vector sums[WIDTH];
    unrolled<WIDTH>([&](auto i) INLINED { sums[i] = bias; });
    for (int64_t i = first; i < end; i++)
        for (int32_t phase = 0; phase < image.count; phase++) {
            const float* from = image.data + (top + i) * image.pitch() + phase * image.size + column * LANES;
            for (int64_t j = phase; j < layer.kernel_width; j += layer.stride, from += LANES) {
                const Vector weight = load(kernel.at(i, j));
                unrolled<WIDTH>([&](auto k) INLINED { sums[k] += load(from + k * LANES) * weight; });
            }
        }
    unrolled<WIDTH>([&](auto i) INLINED { store(to + i * LANES, sums[i]); });
}

constexpr int MOST_WIDTH = HAS_32 ? 14 : 7;

template <int WIDTH = MOST_WIDTH>
inline void add_products(int64_t width, const DepthwiseLayer& layer, const Phases& image, const Vectors& kernel, int64_t row,
                         int64_t column, Vector bias, float* to) {
    if constexpr (WIDTH > 0) {
        if (width == WIDTH) add_products<WIDTH>(layer, image, kernel, row, column, bias, to);
        else add_products<WIDTH - 1>(width, layer, image, kernel, row, column, bias, to);
    }
}

// Computes tile by tile from top to bottom, so that the rows that successive outputs share stay in the L1 cache.
inline void compute_vectors(const DepthwiseLayer& layer, const Phases& image, const Vectors& kernel, Vector bias, float* to) {
    const int64_t tiles = (layer.out_width + MOST_WIDTH - 1) / MOST_WIDTH;
    for (int64_t tile = 0; tile < tiles; tile++) {
        const int64_t column = layer.out_width * tile / tiles, width = layer.out_width * (tile + 1) / tiles - column;
        for (int64_t row = 0; row < layer.out_height; row++)
            add_products(width, layer, image, kernel, row, column, bias, to + (row * layer.out_width + column) * LANES);
    }
}

// Computes channels first … end - 1.
inline void depthwise_by_channels(const DepthwiseLayer& given, const float* x, float* y, int32_t first, int32_t end) {
    const bool exchange = is_exchanged(given);
    const DepthwiseLayer layer = exchange ? exchanged(given) : given;
    const Layout images = layout_of_image(given), kernels = layout_of_kernels(given), outputs = layout_of_output(given);
    Phases padded(layer);
    Scratch& scratch = scratch_of_thread();
    const int64_t size = layer.height * padded.pitch(), all = size + (images.size + kernels.size + outputs.size) * LANES;
    scratch.reset(all, 1);
    float* const memory = scratch.take(all);
    float *image = memory + size, *kernel = image + images.size * LANES, *found = kernel + kernels.size * LANES;
    padded.data = memory;
    // Sets the space beside rows and the lanes without a channel to zero.
    std::memset(memory, 0, (found - memory) * sizeof(float));
    const Vectors of_image{image, given.width * LANES, LANES}, of_kernel{kernel, given.kernel_width * LANES, LANES};
    const Finish finish(layer.activation);
    while (first < end) {
        const InGroup channels = group_of(first, end);
        gather(images, x, channels, 0, images.size, image);
        gather(kernels, layer.weights, channels, 0, kernels.size, kernel);
        write_rows(layer, exchange ? of_kernel.turned(layer.height, layer.width) : of_image, padded);
        compute_vectors(layer, padded, exchange ? of_image.turned(layer.kernel_height, layer.kernel_width) : of_kernel,
                        bias_of(layer, channels), found);
        finish_vectors(finish, found, outputs.size * LANES);
        scatter(outputs, found, channels, 0, outputs.size, y);
        first = channels.end;
    }
}

}  // namespace INSTRUCTION_SET
