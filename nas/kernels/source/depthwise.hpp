// A depthwise convolution, channel by channel.
#pragma once

#include <limits>
#include <new>

#include "activation.hpp"
#include "direct.hpp"

namespace INSTRUCTION_SET {

// Memory that a thread keeps from call to call.
class Scratch {
public:
    ~Scratch() { release(); }
    float* zeros(int64_t size) {
        if (size > m_size) {
            release();
            m_data = static_cast<float*>(::operator new(size * sizeof(float), ALIGNMENT));
            m_size = size;
        }
        std::memset(m_data, 0, size * sizeof(float));
        return m_data;
    }

private:
    static constexpr std::align_val_t ALIGNMENT{64};
    void release() { ::operator delete(m_data, ALIGNMENT); }
    float* m_data = nullptr;
    int64_t m_size = 0;
};

inline float lowest(Activation kind) {
    return kind == Activation::relu || kind == Activation::relu6 ? 0.0f : -std::numeric_limits<float>::infinity();
}

inline float highest(Activation kind) { return kind == Activation::relu6 ? 6.0f : std::numeric_limits<float>::infinity(); }

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

inline void depthwise_channels(const DepthwiseLayer& layer, const float* x, float* y, int32_t first, int32_t end) {
    thread_local Scratch scratch;
    const int64_t in = int64_t(layer.height) * layer.width, out = int64_t(layer.out_height) * layer.out_width;
    const int64_t kernel = int64_t(layer.kernel_height) * layer.kernel_width;
    const int32_t read = (layer.out_width < LANES ? LANES : layer.out_width) + (layer.kernel_width - 1) / layer.stride;
    Padded image{nullptr, layer.stride, plane_size(layer.width, layer.left, layer.stride, read), layer.left};
    image.data = scratch.zeros(int64_t(layer.height) * image.pitch());
    for (int32_t channel = first; channel < end; channel++) {
        copy_in(image, x + channel * in, layer.height, layer.width);
        convolve_directly({image, layer.height, layer.top, layer.weights + channel * kernel, layer.kernel_height,
                           layer.kernel_width, layer.stride, layer.bias[channel], lowest(layer.activation),
                           highest(layer.activation), y + channel * out, layer.out_height, layer.out_width});
        activate(y + channel * out, out, layer.activation);
    }
}

}  // namespace INSTRUCTION_SET
