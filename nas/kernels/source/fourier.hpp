// Depthwise convolutions of stride 1 by Fourier transforms, LANES channels at a time. The product of an image's and a kernel's
// spectrum is the spectrum of their circular convolution, whose size is chosen so that values that wrap around meet zeros. A
// NaN or infinity spreads over its whole channel.
#pragma once

#include "groups.hpp"
#include "scratch.hpp"
#include "transform.hpp"

namespace INSTRUCTION_SET {

// Sizes along one axis. Images and outputs start at 0, and tap i of a kernel is at before - i.
struct Axis {
    int32_t image, kernel, before, out;

    // First and last distance from a pixel to an output at which a tap can matter; other taps are multiplied by zeros only.
    int64_t begin() const { return before - kernel + 1 < 1 - image ? 1 - image : before - kernel + 1; }
    int64_t last() const { return least(before, out - 1); }

    // The kernel's tap at a position of the circle, or -1.
    int64_t tap(int64_t at, int32_t size) const {
        const int64_t distance = at <= last() ? at : at - size;
        return distance < begin() ? -1 : before - distance;
    }

    // A transform so long that different distances from pixels to outputs stay different around the circle.
    Radixes radixes() const {
        const int64_t least_size = last() + image > out - begin() ? last() + image : out - begin();
        return radixes_of(least_size > out ? least_size : out);
    }
};

// One half of a spectrum; the other half is its mirror image. Its memory holds the twiddles of both transforms, then the
// spectra of each group: (columns, rows) complex numbers of LANES floats.
struct Spectrum {
    explicit Spectrum(const DepthwiseLayer& layer)
        : vertical{layer.height, layer.kernel_height, layer.top, layer.out_height},
          horizontal{layer.width, layer.kernel_width, layer.left, layer.out_width},
          of_rows(horizontal.radixes()), of_columns(vertical.radixes()) {}

    Axis vertical, horizontal;
    Radixes of_rows, of_columns;

    int32_t rows() const { return of_columns.size(); }
    int32_t columns() const { return of_rows.size() / 2 + 1; }
    int64_t head() const { return (of_rows.num_twiddles() + of_columns.num_twiddles() + LANES - 1) / LANES * LANES; }
    int64_t group() const { return int64_t(rows()) * columns() * 2 * LANES; }
};

// Number of floats of the spectrum of a layer's kernels; 0 if it has none.
inline int64_t spectrum_size(const DepthwiseLayer& layer) {
    const Spectrum spectrum(layer);
    if (layer.stride != 1 || spectrum.rows() == 0 || spectrum.of_rows.size() == 0) return 0;
    return spectrum.head() + (layer.channels + LANES - 1) / LANES * spectrum.group();
}

// The transforms of a group, with their memory.
struct Fourier {
    Fourier(const Spectrum& spectrum, const float* twiddles, Scratch& scratch) : spectrum(spectrum) {
        const int32_t longest = spectrum.rows() > spectrum.of_rows.size() ? spectrum.rows() : spectrum.of_rows.size();
        scratch.reset(spectrum.group() + 4 * LANES * longest + size_of_pixels(), 4);
        grid = scratch.take(spectrum.group()), line = scratch.take(2 * LANES * longest), pixels = scratch.take(size_of_pixels());
        float* between = scratch.take(2 * LANES * longest);
        rows = {spectrum.of_rows, twiddles, between};
        columns = {spectrum.of_columns, twiddles + spectrum.of_rows.num_twiddles(), between};
    }

    const Spectrum& spectrum;
    Transform rows, columns;
    float *grid;    // (rows, columns) complex numbers
    float *line;    // one row or column of complex numbers
    float *pixels;  // two rows of pixels

    int64_t size_of_pixels() const { return 2 * LANES * spectrum.of_rows.size(); }
    int64_t pitch() const { return int64_t(spectrum.columns()) * 2 * LANES; }
    Signal in_line() const { return {line, line + LANES, 2 * LANES, 0}; }
    Signal in_column(int32_t column, int32_t size) const {
        float* from = grid + int64_t(column) * 2 * LANES;
        return {from, from + LANES, pitch(), size};
    }
};

// Transforms two rows of pixels, as real and imaginary part of one row, to halves of their spectra, which are twice too large.
inline void transform_rows(const Fourier& fourier, float* first, float* second, int32_t width, int32_t row) {
    Signal line = fourier.in_line();
    line.size = fourier.spectrum.of_rows.size();
    fourier.rows({first, second, LANES, width}, line);
    float *upper = fourier.grid + row * fourier.pitch(), *lower = upper + fourier.pitch();
    for (int32_t i = 0; i < fourier.spectrum.columns(); i++, upper += 2 * LANES, lower += 2 * LANES) {
        const float *a = fourier.line + i * line.step, *b = fourier.line + (i ? line.size - i : 0) * line.step;
        const Vector a_re = load(a), a_im = load(a + LANES), b_re = load(b), b_im = load(b + LANES);
        store(upper, a_re + b_re), store(upper + LANES, a_im - b_im);
        store(lower, a_im + b_im), store(lower + LANES, b_re - a_re);
    }
}

// Inverts transform_rows and adds a bias.
inline void restore_rows(const Fourier& fourier, float* first, float* second, int32_t width, int32_t row, Vector bias) {
    Signal line = fourier.in_line();
    line.size = fourier.spectrum.of_rows.size();
    const float *upper = fourier.grid + row * fourier.pitch(), *lower = upper + fourier.pitch();
    for (int32_t i = 0; i < fourier.spectrum.columns(); i++, upper += 2 * LANES, lower += 2 * LANES) {
        float *a = fourier.line + i * line.step, *b = fourier.line + (i ? line.size - i : 0) * line.step;
        const Vector upper_re = load(upper), upper_im = load(upper + LANES), lower_re = load(lower), lower_im = load(lower + LANES);
        store(b, upper_re + lower_im), store(b + LANES, lower_re - upper_im);
        store(a, upper_re - lower_im), store(a + LANES, lower_re + upper_im);
    }
    store(line.re, load(line.re) + bias), store(line.im, load(line.im) + bias);
    fourier.rows(line.exchanged(), Signal{first, second, LANES, width}.exchanged());
}

inline void multiply(const Fourier& fourier, const float* with) {
    float* at = fourier.line;
    for (int32_t i = 0; i < fourier.spectrum.rows(); i++, at += 2 * LANES, with += 2 * LANES) {
        const Vector a = load(at), b = load(at + LANES), c = load(with), d = load(with + LANES);
        store(at, a * c - b * d), store(at + LANES, a * d + b * c);
    }
}

inline void multiply_columns(const Fourier& fourier, const float* with) {
    const Spectrum& spectrum = fourier.spectrum;
    Signal line = fourier.in_line();
    line.size = spectrum.rows();
    const int32_t pairs = (spectrum.vertical.out + 1) / 2;
    for (int32_t column = 0; column < spectrum.columns(); column++, with += 2 * LANES * spectrum.rows()) {
        fourier.columns(fourier.in_column(column, spectrum.vertical.image), line);
        multiply(fourier, with);
        fourier.columns(line.exchanged(), fourier.in_column(column, 2 * pairs).exchanged());
    }
}

inline void read_image(const Fourier& fourier, const DepthwiseLayer& layer, const float* x, InGroup channels) {
    const Layout layout = layout_of_image(layer);
    const int64_t width = layer.width;
    for (int32_t row = 0; row < layer.height; row += 2) {
        const int64_t rows = least(2, layer.height - row);
        gather(layout, x, channels, row * width, rows * width, fourier.pixels);
        transform_rows(fourier, fourier.pixels, fourier.pixels + (rows - 1) * width * LANES, layer.width, row);
    }
}

inline void write_image(const Fourier& fourier, const DepthwiseLayer& layer, const Finish& finish, InGroup channels, float* y) {
    const Layout layout = layout_of_output(layer);
    const Vector bias = bias_of(layer, channels);
    const int64_t width = layer.out_width;
    for (int32_t row = 0; row < layer.out_height; row += 2) {
        const int64_t pixels = least(2, layer.out_height - row) * width;
        restore_rows(fourier, fourier.pixels, fourier.pixels + width * LANES, layer.out_width, row, bias);
        finish_vectors(finish, fourier.pixels, pixels * LANES);
        scatter(layout, fourier.pixels, channels, row * width, pixels, y);
    }
}

// Writes a row of the kernels of `count` channels in the layout of the circular convolution; zeros for the rest of the group.
inline void write_taps(const Spectrum& spectrum, const float* weights, int64_t count, int32_t row, float scale, float* to) {
    const Axis &vertical = spectrum.vertical, &horizontal = spectrum.horizontal;
    const int32_t size = spectrum.of_rows.size();
    const int64_t kernel = int64_t(vertical.kernel) * horizontal.kernel, i = vertical.tap(row, spectrum.rows());
    for (int32_t column = 0; column < size; column++) {
        const int64_t j = horizontal.tap(column, size);
        for (int64_t lane = 0; lane < LANES; lane++)
            *to++ = i < 0 || j < 0 || lane >= count ? 0.0f : scale * weights[lane * kernel + i * horizontal.kernel + j];
    }
}

// Writes the spectra of the kernels of `count` channels, scaled by the factors of all forward and inverse transforms.
inline void transform_kernels(const Fourier& fourier, const float* weights, int64_t count, float* to) {
    const Spectrum& spectrum = fourier.spectrum;
    const int32_t width = spectrum.of_rows.size(), rows = spectrum.rows();
    float *first = fourier.pixels, *second = first + width * LANES;
    for (int32_t row = 0; row < rows; row += 2) {
        write_taps(spectrum, weights, count, row, 0.25f / (rows * width), first);
        write_taps(spectrum, weights, count, row + 1, 0.25f / (rows * width), second);
        transform_rows(fourier, first, second, width, row);
    }
    for (int32_t column = 0; column < spectrum.columns(); column++, to += 2 * LANES * rows)
        fourier.columns(fourier.in_column(column, rows), {to, to + LANES, 2 * LANES, rows});
}

inline void write_spectrum(const DepthwiseLayer& layer, float* to) {
    const Spectrum spectrum(layer);
    write_twiddles(spectrum.of_rows, to);
    write_twiddles(spectrum.of_columns, to + spectrum.of_rows.num_twiddles());
    const Fourier fourier(spectrum, to, scratch_of_thread());
    const int64_t kernel = int64_t(layer.kernel_height) * layer.kernel_width;
    to += spectrum.head();
    for (int64_t channel = 0; channel < layer.channels; channel += LANES, to += spectrum.group())
        transform_kernels(fourier, layer.weights + channel * kernel, least(LANES, layer.channels - channel), to);
}

// Computes channels first … end - 1.
inline void depthwise_by_fourier(const DepthwiseLayer& layer, const float* x, float* y, int32_t first, int32_t end) {
    const Spectrum spectrum(layer);
    const Fourier fourier(spectrum, layer.spectrum, scratch_of_thread());
    const Finish finish(layer.activation);
    while (first < end) {
        const InGroup channels = group_of(first, end);
        // Lanes without a channel compute with zeros.
        if (channels.count() < LANES) std::memset(fourier.pixels, 0, fourier.size_of_pixels() * sizeof(float));
        read_image(fourier, layer, x, channels);
        multiply_columns(fourier, layer.spectrum + spectrum.head() + first / LANES * spectrum.group());
        write_image(fourier, layer, finish, channels, y);
        first = channels.end;
    }
}

}  // namespace INSTRUCTION_SET
