// One instruction set's kernels; compiled once for each, with its flags and the macros INSTRUCTION_SET, LANES and
// AVAILABLE (whether this processor has it).
#include <algorithm>
#include <vector>

#include "depthwise.hpp"
#include "sparse.hpp"

#define TEXT(name) #name
#define NAME(name) TEXT(name)

namespace INSTRUCTION_SET {
namespace {

constexpr int32_t widths_of_1[] = {8, 4, 2, 0}, widths_of_2[] = {4, 2, 0}, widths_of_4[] = {3, 2, 0};

const int32_t* sparse_widths(int32_t rows) { return rows == 1 ? widths_of_1 : rows == 2 ? widths_of_2 : widths_of_4; }

using Vectors = void (*)(const SparseLayer&, const float*, float*, int64_t, int64_t, int64_t, int32_t, int32_t);

Vectors sparse_kernel(int32_t rows, int32_t width) {
    if (rows == 1) return width >= 8 ? sparse_vectors<1, 8> : width >= 4 ? sparse_vectors<1, 4> : sparse_vectors<1, 2>;
    if (rows == 2) return width >= 4 ? sparse_vectors<2, 4> : sparse_vectors<2, 2>;
    return width >= 3 ? sparse_vectors<4, 3> : sparse_vectors<4, 2>;
}

void sparse(const SparseLayer& layer, int32_t width, const float* x, float* y, int64_t pixels, int64_t first, int64_t last,
            int32_t first_block, int32_t last_block) {
    const Vectors kernel = sparse_kernel(layer.rows, width);
    if (pixels >= LANES) {
        kernel(layer, x, y, pixels, first, last, first_block, last_block);
        return;
    }
    // Fewer pixels than a vector has: through copies that have one vector a channel.
    std::vector<float> from(int64_t(layer.inputs) * LANES), to(int64_t(layer.outputs) * LANES);
    for (int32_t input = 0; input < layer.inputs; input++)
        std::copy_n(x + input * pixels, pixels, &from[int64_t(input) * LANES]);
    kernel(layer, from.data(), to.data(), LANES, 0, 1, first_block, last_block);
    for (int32_t output = first_block * layer.rows; output < std::min(last_block * layer.rows, layer.outputs); output++)
        std::copy_n(&to[int64_t(output) * LANES], pixels, y + output * pixels);
}

void depthwise(const DepthwiseLayer& layer, const float* x, float* y, int32_t first, int32_t last) {
    depthwise_channels(layer, x, y, first, last);
}

bool available() { return AVAILABLE; }

}  // namespace

extern const InstructionSet kernels;
const InstructionSet kernels{NAME(INSTRUCTION_SET), LANES, available, sparse, sparse_widths, depthwise};

}  // namespace INSTRUCTION_SET
