// A depthwise convolution, channel by channel: small kernels where the image is; others copied into planes with zeros around
// them, cut into sub-convolutions of stride 1, and computed in register tiles; or by Fourier transform.
#pragma once

#include "activation.hpp"
#include "depthwise_tiles.hpp"
#include "fourier.hpp"
#include "row_pairs.hpp"
#include "small_kernel.hpp"

namespace INSTRUCTION_SET {

// Larger strides are computed one output at a time.
constexpr int MOST_STRIDE = 4, MOST_PARTS = MOST_STRIDE * MOST_STRIDE;

// How many of `size` rows or columns are of a phase.
inline int32_t phase_size(int32_t size, int32_t phase, int32_t stride) {
    return size <= phase ? 0 : (size - phase - 1) / stride + 1;
}

// The image's planes: every phase of rows with every phase of columns.
inline void split_image(const Depthwise& depthwise, Plane* to) {
    const int32_t stride = depthwise.layer.stride, top = depthwise.layer.top, height = depthwise.layer.height;
    const Padded& image = depthwise.image;
    for (int32_t row = 0; row < stride; row++) {
        const int32_t first = phase_size(top, row, stride), end = phase_size(top + height, row, stride);
        const float* from = image.data + int64_t(first * stride + row - top) * image.pitch();
        for (int32_t column = 0; column < stride; column++)
            *to++ = {from + column * image.plane, int64_t(stride) * image.pitch(), first, end};
    }
}

// The kernel's parts, in the order of split_image.
inline void split_kernel(const Weights& weights, int32_t stride, Weights* to) {
    for (int32_t row = 0; row < stride; row++)
        for (int32_t column = 0; column < stride; column++)
            *to++ = {weights.data + row * weights.row_step + column * weights.step, stride * weights.row_step,
                     stride * weights.step, phase_size(weights.rows, row, stride), phase_size(weights.columns, column, stride)};
}

// Splitting pays for tall kernels, and where what is left of the rows still fills tiles.
inline int splits_of(const DepthwiseLayer& layer) {
    if (layer.stride > 1 || layer.kernel_height < 11 || layer.out_height <= 2 * TILE_ROWS) return 0;
    return layer.kernel_height < 17 || layer.out_height <= 3 * TILE_ROWS ? 1 : 2;
}

// Where the kernel is wider than the image most of it meets zeros. The same sums are those of an image, the kernel turned
// by 180°, with a kernel, the image turned by 180°: fewer columns.
inline bool is_exchanged(const DepthwiseLayer& layer) { return layer.stride == 1 && layer.kernel_width > layer.width; }

inline DepthwiseLayer exchanged(const DepthwiseLayer& layer) {
    DepthwiseLayer found = layer;
    found.top += layer.height - layer.kernel_height;
    found.left += layer.width - layer.kernel_width;
    found.height = layer.kernel_height, found.kernel_height = layer.height;
    found.width = layer.kernel_width, found.kernel_width = layer.width;
    return found;
}

inline const float* turned(const float* from, int64_t size, Scratch& scratch) {
    float* to = scratch.take(size);
    for (int64_t i = 0; i < size; i++) to[i] = from[size - 1 - i];
    return to;
}

inline void compute_plainly(const DepthwiseLayer& layer, const float* x, const float* weights, float bias, float* y) {
    for (int64_t row = 0; row < layer.out_height; row++)
        for (int64_t column = 0; column < layer.out_width; column++) {
            float sum = bias;
            for (int64_t i = 0; i < layer.kernel_height; i++) {
                const int64_t from = row * layer.stride - layer.top + i;
                if (from < 0 || from >= layer.height) continue;
                for (int64_t j = 0; j < layer.kernel_width; j++) {
                    const int64_t at = column * layer.stride - layer.left + j;
                    if (at >= 0 && at < layer.width) sum += weights[i * layer.kernel_width + j] * x[from * layer.width + at];
                }
            }
            y[row * layer.out_width + column] = activated(broadcast(sum), layer.activation)[0];
        }
}

inline void depthwise_in_planes(const DepthwiseLayer& given, const float* x, float* y, int32_t first, int32_t end) {
    const bool exchange = is_exchanged(given);
    const DepthwiseLayer layer = exchange ? exchanged(given) : given;
    Scratch& scratch = scratch_of_thread();
    const int64_t in = int64_t(layer.height) * layer.width, out = int64_t(layer.out_height) * layer.out_width;
    const int64_t kernel = int64_t(layer.kernel_height) * layer.kernel_width;
    const int32_t read = (layer.out_width < LANES ? LANES : layer.out_width) + (layer.kernel_width - 1) / layer.stride;
    const int32_t columns = plane_size(layer.width, layer.left, layer.stride, read), parts = layer.stride * layer.stride;
    const Finish finish(layer.activation);
    Depthwise depthwise{layer, {nullptr, layer.stride, columns, layer.left}, splits_of(layer), finish.low, finish.high};
    const int64_t size = int64_t(layer.height) * depthwise.image.pitch();
    scratch.reset(4 * size + 16 * columns + 4 * kernel + 64 * layer.kernel_width + in, 3 * MOST_PARTS + parts);
    float* data = scratch.take(size + LANES);
    std::memset(data, 0, (size + LANES) * sizeof(float));
    // Columns are written a vector at a time: to whole cache lines.
    depthwise.image.data = data + (layer.left > 0 ? (LANES - layer.left / layer.stride % LANES) % LANES : 0);
    const int64_t mark = scratch.mark();
    Plane planes[MOST_PARTS];
    Filter filters[MOST_PARTS];
    Weights kernels[MOST_PARTS];
    // The filters of an exchanged channel are of its image, read backwards.
    const float* values = exchange ? x + (first + 1) * kernel - 1 : layer.weights + first * kernel;
    const int32_t step = exchange ? -1 : 1;
    split_kernel({values, step * layer.kernel_width, step, layer.kernel_height, layer.kernel_width}, layer.stride, kernels);
    if (depthwise.splits == 0) split_image(depthwise, planes);
    for (int32_t channel = first; channel < end; channel++) {
        scratch.back_to(mark);
        const float* image = exchange ? turned(layer.weights + channel * in, in, scratch) : x + channel * in;
        copy_in(depthwise.image, image, layer.height, layer.width);
        if (depthwise.splits == 0)
            for (int part = 0; part < parts; part++) filters[part] = packed(kernels[part], scratch);
        else {
            split_filter(filters, *kernels, depthwise.splits, scratch);
            const Plane whole{depthwise.image.data, columns, layer.top, layer.top + layer.height};
            split_plane(planes, whole, depthwise.splits, columns, scratch);
        }
        compute(depthwise, planes, filters, layer.bias[channel], y + channel * out);
        if (finish.curved) curve(y + channel * out, out, finish.activation);
        for (int part = 0; part < parts; part++) kernels[part].data += kernel;
    }
}

inline void depthwise_in_pairs(const DepthwiseLayer& layer, const float* x, float* y, int32_t first, int32_t end) {
    const Finish finish(layer.activation);
    const Depthwise depthwise{layer, {}, 0, finish.low, finish.high};
    const int64_t in = int64_t(layer.height) * layer.width, out = int64_t(layer.out_height) * layer.out_width;
    const int32_t read = (layer.out_width < LANES ? LANES : layer.out_width) + layer.kernel_width - 1;
    RowPairs pairs{nullptr, nullptr, nullptr, plane_size(layer.width, layer.left, 1, read), pairs_of(layer)};
    Scratch& scratch = scratch_of_thread();
    const int64_t size = 3 * pairs.size() + LANES;
    scratch.reset(size + ODD_ROWS * layer.kernel_width, 2);
    float *data = scratch.take(size), *sums = scratch.take(ODD_ROWS * layer.kernel_width);
    std::memset(data, 0, size * sizeof(float));
    // Columns are written a vector at a time: to whole cache lines.
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

inline void depthwise_directly(const DepthwiseLayer& layer, const float* x, float* y, int32_t first, int32_t end) {
    if (is_small(layer, end - first)) return depthwise_of_small(layer, x, y, first, end);
    if (has_row_pairs(layer) && !is_exchanged(layer)) return depthwise_in_pairs(layer, x, y, first, end);
    if (layer.stride <= MOST_STRIDE) return depthwise_in_planes(layer, x, y, first, end);
    const int64_t in = int64_t(layer.height) * layer.width, out = int64_t(layer.out_height) * layer.out_width;
    const int64_t kernel = int64_t(layer.kernel_height) * layer.kernel_width;
    for (int32_t channel = first; channel < end; channel++)
        compute_plainly(layer, x + channel * in, layer.weights + channel * kernel, layer.bias[channel], y + channel * out);
}

// Directly, what has its channels last; LANES of them are turned at a time.
inline void depthwise_turned(DepthwiseLayer layer, const float* x, float* y, int32_t first, int32_t end) {
    const int64_t in = int64_t(layer.height) * layer.width, out = int64_t(layer.out_height) * layer.out_width;
    const bool reads_last = layer.reads_last, writes_last = layer.writes_last;
    layer.reads_last = layer.writes_last = false;
    float *image = scratch(LANES * (in + out)), *found = image + LANES * in;
    for (int64_t next; first < end; first = int32_t(next)) {
        next = least(end, first + LANES);
        const float* from = reads_last ? image : x + first * in;
        float* to = writes_last ? found : y + first * out;
        if (reads_last) transpose(x + first, layer.channels, in, next - first, image, in);
        depthwise_directly(layer, from - first * in, to - first * out, first, int32_t(next));
        if (writes_last) transpose(found, out, next - first, out, y + first, layer.channels);
    }
}

inline void depthwise_channels(const DepthwiseLayer& layer, const float* x, float* y, int32_t first, int32_t end) {
    if (layer.spectrum) return depthwise_by_fourier(layer, x, y, first, end);
    if (layer.reads_last || layer.writes_last) return depthwise_turned(layer, x, y, first, end);
    depthwise_directly(layer, x, y, first, end);
}

}  // namespace INSTRUCTION_SET
