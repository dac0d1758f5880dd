// A depthwise convolution, channel by channel: copied into planes with zeros around them, cut into sub-convolutions of
// stride 1, and computed in register tiles.
#pragma once

#include <limits>

#include "activation.hpp"
#include "fast_filter.hpp"

namespace INSTRUCTION_SET {

// What is the same for all channels.
struct Depthwise {
    const DepthwiseLayer& layer;
    Padded image;
    int splits;  // of fast_filter.hpp; 0 where the stride isn't 1
    Vector low, high;  // bounds of the result
};

inline Vector lowest(Activation kind) {
    return broadcast(kind == Activation::relu || kind == Activation::relu6 ? 0.0f : -std::numeric_limits<float>::infinity());
}

inline Vector highest(Activation kind) {
    return broadcast(kind == Activation::relu6 ? 6.0f : std::numeric_limits<float>::infinity());
}

// What bounds can't express, in place. The last vector is computed before the one it overlaps is written.
template <Activation kind>
inline void activate(float* y, int64_t size) {
    if (size < LANES) {
        const Vector found = activated<kind>(load_some(y, size));
        std::memcpy(y, &found, size * sizeof(float));
        return;
    }
    const Vector last = activated<kind>(load(y + size - LANES));
    for (int64_t at = 0; at + LANES <= size; at += LANES) store(y + at, activated<kind>(load(y + at)));
    store(y + size - LANES, last);
}

inline void activate(float* y, int64_t size, Activation kind) {
    if (kind == Activation::silu) activate<Activation::silu>(y, size);
    if (kind == Activation::gelu) activate<Activation::gelu>(y, size);
    if (kind == Activation::hard_swish) activate<Activation::hard_swish>(y, size);
}

// Row `row` of a tile → y. In rows narrower than a vector, what goes past the row is overwritten by the next one.
template <int WIDTH>
inline void store_row(const Depthwise& depthwise, const Vector (&sums)[WIDTH], float* y, int32_t row, Place place) {
    const DepthwiseLayer& layer = depthwise.layer;
    const float* end = y + int64_t(layer.out_height) * layer.out_width;
    float* to = y + int64_t(row) * layer.out_width + place.column;
    for (int vector = 0; vector < WIDTH; vector++) {
        const Vector found = bounded(sums[vector], depthwise.low, depthwise.high);
        float* at = to + (vector < WIDTH - 1 ? vector * LANES : place.last);
        if (end - at >= LANES) store(at, found);
        else {
            float lanes[LANES];
            store(lanes, found);
            store_some(at, lanes, end - at);
        }
    }
}

// The convolution of one plane: its sums stay in registers.
template <int KERNEL_ROWS, int WIDTH>
inline void compute_tile(const Depthwise& depthwise, const Plane& plane, const Filter& filter, float bias, float* y, Place place) {
    Tile<WIDTH> tile;
    unrolled<TILE_ROWS>([&](auto row) INLINED { unrolled<WIDTH>([&](auto i) INLINED { tile.sums[row][i] = broadcast(bias); }); });
    add_filter<KERNEL_ROWS>(tile, plane, filter, place);
    unrolled<TILE_ROWS>([&](auto row) INLINED {
        if (place.row + row < depthwise.layer.out_height) store_row(depthwise, tile.sums[row], y, place.row + row, place);
    });
}

template <int SPLITS, int WIDTH>
void compute_tiles(const Depthwise& depthwise, const Plane* planes, const Filter* filters, float bias, float* y, Place place) {
    if constexpr (SPLITS == 0) {
        if (depthwise.layer.stride == 1 && filters->rows == 3 && filters->taps == 3)
            return compute_tile<3, WIDTH>(depthwise, *planes, {filters->weights, 3, 3}, bias, y, place);
    }
    constexpr int count = power(2, SPLITS);
    const int parts = depthwise.layer.stride * depthwise.layer.stride;
    Tile<WIDTH> tiles[count];
    for (Tile<WIDTH>& tile : tiles)
        for (auto& row : tile.sums)
            for (Vector& sum : row) sum = broadcast(bias);
    if constexpr (SPLITS > 0) add_split<SPLITS>(tiles, planes, filters, place);
    else
        for (int part = 0; part < parts; part++)
            if (filters[part].rows && filters[part].taps) add(tiles[0], planes[part], filters[part], place);
    for (int row = 0; row < TILE_ROWS; row++)
        for (int of = 0; of < count; of++) {
            const int32_t at = (place.row + row) * count + of;
            if (at < depthwise.layer.out_height) store_row(depthwise, tiles[first_row(of, SPLITS)].sums[row], y, at, place);
        }
}

// Output columns of WIDTH vectors at a time, and what is left with fewer.
template <int SPLITS, int WIDTH>
void compute_columns(const Depthwise& depthwise, const Plane* planes, const Filter* filters, float bias, float* y,
                     int32_t first, int32_t end) {
    const int32_t width = depthwise.layer.out_width, rows = (depthwise.layer.out_height - 1) / power(2, SPLITS) + 1;
    for (; first + WIDTH <= end; first += WIDTH) {
        const int32_t column = first * LANES, full = (WIDTH - 1) * LANES;
        const int32_t rest = width < LANES ? 0 : width - LANES - column;
        // The last tile overlaps the one before it.
        for (int32_t row = 0; row < rows; row += TILE_ROWS)
            compute_tiles<SPLITS, WIDTH>(depthwise, planes, filters, bias, y,
                                         {row + TILE_ROWS > rows && rows > TILE_ROWS ? rows - TILE_ROWS : row, column,
                                          rest < full ? rest : full});
    }
    if constexpr (WIDTH > 1)
        if (first < end) compute_columns<SPLITS, WIDTH - 1>(depthwise, planes, filters, bias, y, first, end);
}

inline void compute(const Depthwise& depthwise, const Plane* planes, const Filter* filters, float bias, float* y) {
    const int32_t vectors = (depthwise.layer.out_width + LANES - 1) / LANES;
    if (depthwise.splits == 2) return compute_columns<2, TILE_WIDTH>(depthwise, planes, filters, bias, y, 0, vectors);
    if (depthwise.splits == 1) return compute_columns<1, TILE_WIDTH>(depthwise, planes, filters, bias, y, 0, vectors);
    compute_columns<0, TILE_WIDTH>(depthwise, planes, filters, bias, y, 0, vectors);
}

// How many of `size` rows or columns are of a phase.
inline int32_t phase_size(int32_t size, int32_t phase, int32_t stride) { return size <= phase ? 0 : (size - phase - 1) / stride + 1; }

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

// The kernel's filters, in the order of split_image.
inline void split_kernel(const Weights& weights, int32_t stride, Filter* to, Scratch& scratch) {
    for (int32_t row = 0; row < stride; row++)
        for (int32_t column = 0; column < stride; column++)
            *to++ = packed({weights.data + row * weights.row_step + column * weights.step, stride * weights.row_step,
                            stride * weights.step, phase_size(weights.rows, row, stride), phase_size(weights.columns, column, stride)},
                           scratch);
}

// Splitting pays for tall kernels, and where what is left of the rows still fills tiles.
inline int splits_of(const DepthwiseLayer& layer) {
    if (layer.stride > 1 || layer.kernel_height < 11 || layer.out_height <= 2 * TILE_ROWS) return 0;
    return layer.kernel_height < 17 || layer.out_height <= 3 * TILE_ROWS ? 1 : 2;
}

// A function of its own, so that the thread's variable is looked up once.
__attribute__((noinline)) inline Scratch& scratch_of_thread() {
    thread_local Scratch scratch;
    return scratch;
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

inline void depthwise_channels(const DepthwiseLayer& given, const float* x, float* y, int32_t first, int32_t end) {
    const bool exchange = is_exchanged(given);
    const DepthwiseLayer layer = exchange ? exchanged(given) : given;
    Scratch& scratch = scratch_of_thread();
    const int64_t in = int64_t(layer.height) * layer.width, out = int64_t(layer.out_height) * layer.out_width;
    const int64_t kernel = int64_t(layer.kernel_height) * layer.kernel_width;
    const int32_t read = (layer.out_width < LANES ? LANES : layer.out_width) + (layer.kernel_width - 1) / layer.stride;
    const int32_t columns = plane_size(layer.width, layer.left, layer.stride, read), parts = layer.stride * layer.stride;
    Depthwise depthwise{layer, {nullptr, layer.stride, columns, layer.left}, splits_of(layer), lowest(layer.activation),
                        highest(layer.activation)};
    const int64_t size = int64_t(layer.height) * depthwise.image.pitch();
    scratch.reset(4 * size + 16 * columns + 4 * kernel + 64 * layer.kernel_width + in, 4 * MOST_PARTS + parts);
    float* data = scratch.take(size + LANES);
    std::memset(data, 0, (size + LANES) * sizeof(float));
    // Columns are written a vector at a time: to whole cache lines.
    depthwise.image.data = data + (layer.left > 0 ? (LANES - layer.left / layer.stride % LANES) % LANES : 0);
    const int64_t mark = scratch.mark();
    Plane planes[16];
    Filter filters[16];
    if (depthwise.splits == 0) split_image(depthwise, planes);
    for (int32_t channel = first; channel < end; channel++) {
        scratch.back_to(mark);
        const float *image = x + channel * in, *values = layer.weights + channel * kernel;
        Weights weights{values, layer.kernel_width, 1, layer.kernel_height, layer.kernel_width};
        if (exchange) {
            image = turned(layer.weights + channel * in, in, scratch);
            weights = {x + (channel + 1) * kernel - 1, -layer.kernel_width, -1, layer.kernel_height, layer.kernel_width};
        }
        copy_in(depthwise.image, image, layer.height, layer.width);
        if (layer.stride == 1 && depthwise.splits == 0) *filters = packed(weights, scratch);
        else if (depthwise.splits == 0) split_kernel(weights, layer.stride, filters, scratch);
        else {
            split_filter(filters, weights, depthwise.splits, scratch);
            split_plane(planes, {depthwise.image.data, columns, layer.top, layer.top + layer.height}, depthwise.splits, columns, scratch);
        }
        compute(depthwise, planes, filters, layer.bias[channel], y + channel * out);
        activate(y + channel * out, out, layer.activation);
    }
}

}  // namespace INSTRUCTION_SET
