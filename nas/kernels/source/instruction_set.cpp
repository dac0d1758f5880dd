// The kernels of one instruction set. This file is compiled once for each, with its flags and the macros INSTRUCTION_SET,
// LANES and AVAILABLE (whether this processor has it).
#include "depthwise.hpp"
#include "mean.hpp"
#include "peak.hpp"
#include "sparse.hpp"

#define TEXT(name) #name
#define NAME(name) TEXT(name)

namespace INSTRUCTION_SET {
namespace {

constexpr bool has_32 = LANES == 16;
constexpr int32_t widths_of_1[] = {widest(1), has_32 ? 8 : 6, 4, 0}, widths_of_2[] = {widest(2), 4, 0},
                  widths_of_4[] = {widest(4), has_32 ? 4 : 2, 0};

const int32_t* sparse_widths(int32_t rows) { return rows == 1 ? widths_of_1 : rows == 2 ? widths_of_2 : widths_of_4; }

void depthwise(const DepthwiseLayer& layer, const float* x, float* y, int32_t first, int32_t last) {
    depthwise_channels(layer, x, y, first, last);
}

bool available() { return AVAILABLE; }

}  // namespace

extern const InstructionSet kernels;
const InstructionSet kernels{NAME(INSTRUCTION_SET), LANES, available, sparse_image, sparse_widths, depthwise,
                             spectrum_size, write_spectrum, means, multiply_adds};

}  // namespace INSTRUCTION_SET
