// The layers the library computes, and the table of instruction sets it computes them with.
#pragma once

#include <cstdint>

enum class Activation : int32_t { none, relu, relu6, silu, gelu, hard_swish };

// A 1×1 convolution or linear layer whose weights are mostly zero: blocks of `rows` adjacent outputs share one list of
// inputs. Block b reads inputs columns[starts[b]] … columns[starts[b + 1] - 1]; each of them has `rows` values. The last
// block may have fewer outputs; its values of the others are zero.
struct SparseLayer {
    int32_t outputs;
    int32_t inputs;
    int32_t rows;  // 1, 2 or 4
    Activation activation;
    int32_t channels_last;  // whether a pixel's channels lie side by side, in x and in y
    const int32_t* starts;
    const int32_t* columns;
    const float* values;
    const float* bias;  // of each output

    __attribute__((always_inline)) int32_t blocks() const { return (outputs + rows - 1) / rows; }
};

// A convolution of each channel by itself; what lies outside the input is zero.
struct DepthwiseLayer {
    int32_t channels;
    int32_t height, width;                // of the input
    int32_t kernel_height, kernel_width;
    int32_t stride;
    int32_t top, left;                    // rows and columns of zeros before the input
    int32_t out_height, out_width;
    Activation activation;
    int32_t reads_last, writes_last;      // whether a pixel's channels lie side by side, in x and in y
    int32_t by_channels;                  // whether vectors are of channels; of pixels otherwise, where these lie side by side
    const float* weights;                 // (channels, kernel_height, kernel_width)
    const float* bias;                    // of each channel
    const float* spectrum;                // of the weights, by write_spectrum, for Fourier transforms; null for sums of products

    // Whether vectors are of channels.
    __attribute__((always_inline)) bool in_groups() const { return spectrum || by_channels || reads_last || writes_last; }
};

// Kernels compiled for one instruction set.
struct InstructionSet {
    const char* name;
    int32_t lanes;
    bool (*available)();
    // One image: x (inputs, pixels) → y (outputs, pixels), or, channels last, (pixels, inputs) → (pixels, outputs); blocks
    // first_block … last_block - 1, all pixels from vector first to last - 1 of the ceil(pixels / lanes) there are. Up to
    // `width` vectors are computed at a time.
    void (*sparse)(const SparseLayer&, int32_t width, const float* x, float* y, int64_t pixels, int64_t first, int64_t last,
                   int32_t first_block, int32_t last_block);
    // The widths sparse knows for a number of rows, ended by 0.
    const int32_t* (*sparse_widths)(int32_t rows);
    // One image: channels first … last - 1 of x (channels, height, width) → y (channels, out_height, out_width); with their
    // channels last, (height, width, channels) and (out_height, out_width, channels).
    void (*depthwise)(const DepthwiseLayer&, const float* x, float* y, int32_t first, int32_t last);
    // How many floats the spectrum of a layer's weights has; 0 where Fourier transforms don't compute it.
    int64_t (*spectrum_size)(const DepthwiseLayer&);
    void (*write_spectrum)(const DepthwiseLayer&, float* to);
    // The mean of each of the channels first … last - 1 of y.
    void (*means)(const DepthwiseLayer&, const float* y, float* to, int32_t first, int32_t last);
    // As many multiplications and additions a second as a core can do: so many steps, how many that were.
    int64_t (*multiply_adds)(int64_t steps);
};

// Widest first; the last, scalar, runs anywhere.
extern const InstructionSet* const instruction_sets[];
extern const int32_t num_instruction_sets;

// Memory of the calling thread that starts at a cache line, until its next call for the same purpose: kept, since asking for
// it anew costs as much as a small layer.
enum class Purpose { copy, between };
float* scratch(int64_t floats, Purpose purpose = Purpose::copy);

// The widest this processor has.
const InstructionSet& best_instruction_set();
