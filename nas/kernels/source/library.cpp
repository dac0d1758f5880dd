// A C interface to the kernels without OpenVINO, on one thread, for tests, tuning and benchmarks.
#include "kernels.hpp"

#define EXPORTED extern "C" __attribute__((visibility("default")))

EXPORTED int32_t kernels_num_instruction_sets() { return num_instruction_sets; }
EXPORTED const char* kernels_instruction_set_name(int32_t index) { return instruction_sets[index]->name; }
EXPORTED int32_t kernels_instruction_set_lanes(int32_t index) { return instruction_sets[index]->lanes; }
EXPORTED int32_t kernels_instruction_set_available(int32_t index) { return instruction_sets[index]->available(); }
EXPORTED const int32_t* kernels_sparse_widths(int32_t index, int32_t rows) {
    return instruction_sets[index]->sparse_widths(rows);
}

EXPORTED int64_t kernels_multiply_adds(int32_t index, int64_t steps) { return instruction_sets[index]->multiply_adds(steps); }

// Computes a batch x (N, inputs, pixels) → y (N, outputs, pixels); channels last, (N, pixels, inputs) → (N, pixels, outputs).
EXPORTED void kernels_sparse(int32_t index, int32_t width, const SparseLayer* layer, const float* x, float* y, int64_t batch,
                             int64_t pixels) {
    const InstructionSet& kernels = *instruction_sets[index];
    const int64_t vectors = (pixels + kernels.lanes - 1) / kernels.lanes;
    for (int64_t image = 0; image < batch; image++)
        kernels.sparse(*layer, width, x + image * layer->inputs * pixels, y + image * layer->outputs * pixels, pixels, 0, vectors,
                       0, layer->blocks());
}

EXPORTED int64_t kernels_spectrum_size(int32_t index, const DepthwiseLayer* layer) {
    return instruction_sets[index]->spectrum_size(*layer);
}
EXPORTED void kernels_write_spectrum(int32_t index, const DepthwiseLayer* layer, float* to) {
    instruction_sets[index]->write_spectrum(*layer, to);
}

// Computes a batch x (N, channels, height, width) → y (N, channels, out_height, out_width), or both with channels last.
EXPORTED void kernels_depthwise(int32_t index, const DepthwiseLayer* layer, const float* x, float* y, int64_t batch) {
    for (int64_t image = 0; image < batch; image++)
        instruction_sets[index]->depthwise(*layer, x + image * layer->channels * layer->height * layer->width,
                                           y + image * layer->channels * layer->out_height * layer->out_width, 0,
                                           layer->channels);
}
