// The layers that the library computes, and the table of its instruction sets.
#pragma once

#include <cstdint>

enum class Activation : int32_t { none, relu, relu6, silu, gelu, hard_swish };

// A 1×1 convolution or linear layer whose weights are mostly zero: blocks of `rows` adjacent outputs share one list of
// inputs. Block b reads inputs columns[starts[b]] … columns[starts[b + 1] - 1]; each of them has `rows` values. The last
// block may have fewer outputs; the values of its missing outputs are zero.
struct SparseLayer {
    int32_t outputs;
    int32_t inputs;
    int32_t rows;  // 1, 2 or 4
    Activation activation;
    int32_t channels_last;  // whether a pixel's channels lie side by side, in x and in y
    const int32_t* starts;
    const int32_t* columns;
    const float* values;
    const float* bias;  // one per output

    __attribute__((always_inline)) int32_t blocks() const { return (outputs + rows - 1) / rows; }
};

// A convolution of each channel by itself; values outside the input are zero.
struct DepthwiseLayer {
    int32_t channels;
    int32_t height, width;                // of the input
    int32_t kernel_height, kernel_width;
    int32_t stride;
    int32_t top, left;                    // rows and columns of zeros before the input
    int32_t out_height, out_width;
    Activation activation;
    int32_t reads_last, writes_last;      // whether a pixel's channels lie side by side, in x and in y
    int32_t by_channels;                  // whether vectors consist of channels; otherwise of pixels, if channels are first
    const float* weights;                 // (channels, kernel_height, kernel_width)
    const float* bias;                    // one per channel
    const float* spectrum;                // of the weights, from write_spectrum, for Fourier transforms; null for sums of products

    // Whether vectors consist of channels.
    __attribute__((always_inline)) bool in_groups() const { return spectrum || by_channels || reads_last || writes_last; }
};

// Kernels compiled for one instruction set.
struct InstructionSet {
    const char* name;
    int32_t lanes;
    bool (*available)();
    // Computes one image x (inputs, pixels) → y (outputs, pixels); channels last, (pixels, inputs) → (pixels, outputs). It
    // computes blocks first_block … last_block - 1 for the vectors first … last - 1 of the ceil(pixels / lanes) vectors of
    // pixels, up to `width` vectors at a time.
    void (*sparse)(const SparseLayer&, int32_t width, const float* x, float* y, int64_t pixels, int64_t first, int64_t last,
                   int32_t first_block, int32_t last_block);
    // The widths that `sparse` supports for a number of rows, terminated by 0.
    const int32_t* (*sparse_widths)(int32_t rows);
    // Computes channels first … last - 1 of one image x (channels, height, width) → y (channels, out_height, out_width);
    // with channels last, (height, width, channels) and (out_height, out_width, channels).
    void (*depthwise)(const DepthwiseLayer&, const float* x, float* y, int32_t first, int32_t last);
    // Number of floats of the spectrum of a layer's weights; 0 if Fourier transforms can't compute the layer.
    int64_t (*spectrum_size)(const DepthwiseLayer&);
    void (*write_spectrum)(const DepthwiseLayer&, float* to);
    // Computes the mean of each of the channels first … last - 1 of y.
    void (*means)(const DepthwiseLayer&, const float* y, float* to, int32_t first, int32_t last);
    // Runs `steps` steps of multiply-adds at a core's peak rate; returns the number of multiply-adds.
    int64_t (*multiply_adds)(int64_t steps);
};

// Instruction sets with the widest vectors first; the last one, scalar, runs on any processor.
extern const InstructionSet* const instruction_sets[];
extern const int32_t num_instruction_sets;

// Memory of the calling thread, aligned to a cache line, valid until its next call for the same purpose. It is kept between
// calls, because a new allocation costs as much as a small layer.
enum class Purpose { copy, between };
float* scratch(int64_t floats, Purpose purpose = Purpose::copy);

// The widest instruction set that this processor has.
const InstructionSet& best_instruction_set();
