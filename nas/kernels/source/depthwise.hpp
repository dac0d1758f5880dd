// A direct depthwise convolution.
#pragma once

#include "activation.hpp"

namespace INSTRUCTION_SET {

inline void depthwise_channel(const DepthwiseLayer& layer, int32_t channel, const float* x, float* y) {
    const float* weights = layer.weights + int64_t(channel) * layer.kernel_height * layer.kernel_width;
    for (int32_t row = 0; row < layer.out_height; row++)
        for (int32_t column = 0; column < layer.out_width; column++) {
            float sum = layer.bias[channel];
            for (int32_t i = 0; i < layer.kernel_height; i++) {
                const int32_t from = row * layer.stride - layer.top + i;
                if (from < 0 || from >= layer.height) continue;
                for (int32_t j = 0; j < layer.kernel_width; j++) {
                    const int32_t at = column * layer.stride - layer.left + j;
                    if (at >= 0 && at < layer.width) sum += weights[i * layer.kernel_width + j] * x[from * layer.width + at];
                }
            }
            y[row * layer.out_width + column] = activated(broadcast(sum), layer.activation)[0];
        }
}

}  // namespace INSTRUCTION_SET
