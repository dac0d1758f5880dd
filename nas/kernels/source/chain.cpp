#include "chain.hpp"

#include <algorithm>

namespace {

// Bytes for the input and output of the channels computed at a time; they share the L2 cache with x.
constexpr int64_t bytes_at_a_time = 128 << 10;

// Outputs first … last - 1 of a layer; `first` is a multiple of its rows.
SparseLayer part_of(SparseLayer layer, int32_t first, int32_t last) {
    layer.starts += first / layer.rows;
    layer.bias += first;
    layer.outputs = last - first;
    return layer;
}

}  // namespace

int32_t Chain::unit() const {
    // Both are powers of 2.
    return std::max(expansion ? expansion->layer.rows : 1, depthwise.in_groups() ? kernels->lanes : 1);
}

int32_t Chain::channels_at_a_time(int32_t most) const {
    const int64_t pixels = int64_t(depthwise.height) * depthwise.width + int64_t(depthwise.out_height) * depthwise.out_width;
    const int64_t wanted = bytes_at_a_time / int64_t(sizeof(float)) / pixels / unit() * unit();
    return int32_t(std::clamp<int64_t>(wanted, unit(), std::max(most, unit())));
}

// Computes channels first … last - 1 of the depthwise layer's input.
const float* Chain::expanded(const float* x, int32_t first, int32_t last) const {
    const int64_t pixels = int64_t(depthwise.height) * depthwise.width;
    const SparseLayer part = part_of(expansion->layer, first, last);
    float* between = scratch((last - first) * pixels, Purpose::between);
    const int64_t lanes = expansion->kernels->lanes;
    expansion->kernels->sparse(part, expansion->width, x, between, pixels, 0, (pixels + lanes - 1) / lanes, 0, part.blocks());
    return between;
}

void Chain::compute(const float* x, float* y, float* means, int32_t first, int32_t last) const {
    const int64_t in = int64_t(depthwise.height) * depthwise.width;
    const int32_t step = expansion || means ? channels_at_a_time(last - first) : last - first;
    for (; first < last; first += step) {
        const int32_t end = std::min(first + step, last);
        kernels->depthwise(depthwise, expansion ? expanded(x, first, end) - first * in : x, y, first, end);
        if (means) kernels->means(depthwise, y, means, first, end);
    }
}
