// Activations that are fused into the layer before them.
#pragma once

#include <cmath>

#include "kernels.hpp"
#include "vector.hpp"

namespace INSTRUCTION_SET {

// e to the x: 2 to the integer nearest x / ln 2, times a polynomial of the rest (Cephes). Relative error below 2e-7.
inline __attribute__((always_inline)) Vector exponential(Vector x) {
    x = larger(smaller(x, broadcast(88.0f)), broadcast(-87.0f));
    const Vector scaled = x * 1.44269504f;
    const Integers power = __builtin_convertvector(scaled + (scaled < 0.0f ? broadcast(-0.5f) : broadcast(0.5f)), Integers);
    const Vector whole = __builtin_convertvector(power, Vector);
    const Vector rest = x - whole * 0.693359375f + whole * 2.12194440e-4f;
    Vector sum = broadcast(1.9875691500e-4f);
    sum = sum * rest + 1.3981999507e-3f;
    sum = sum * rest + 8.3334519073e-3f;
    sum = sum * rest + 4.1665795894e-2f;
    sum = sum * rest + 1.6666665459e-1f;
    sum = sum * rest + 5.0000001201e-1f;
    sum = sum * rest * rest + rest + 1.0f;
    const Integers bits = (power + 127) << 23;
    Vector factor;
    std::memcpy(&factor, &bits, sizeof factor);
    return sum * factor;
}

// Gauss's error function (Abramowitz and Stegun, 7.1.26). Absolute error below 2e-7.
inline __attribute__((always_inline)) Vector error_function(Vector x) {
    const Vector size = x < 0.0f ? -x : x;
    const Vector t = 1.0f / (1.0f + 0.3275911f * size);
    Vector sum = broadcast(1.061405429f);
    sum = sum * t - 1.453152027f;
    sum = sum * t + 1.421413741f;
    sum = sum * t - 0.284496736f;
    sum = sum * t + 0.254829592f;
    const Vector found = 1.0f - sum * t * exponential(-size * size);
    return x < 0.0f ? -found : found;
}

template <Activation kind>
inline __attribute__((always_inline)) Vector activated(Vector x) {
    if constexpr (kind == Activation::relu) return larger(x, broadcast(0.0f));
    if constexpr (kind == Activation::relu6) return smaller(larger(x, broadcast(0.0f)), broadcast(6.0f));
    if constexpr (kind == Activation::silu) return x / (1.0f + exponential(-x));
    if constexpr (kind == Activation::gelu) return 0.5f * x * (1.0f + error_function(x * 0.70710678f));
    if constexpr (kind == Activation::hard_swish)
        return x * smaller(larger(x + 3.0f, broadcast(0.0f)), broadcast(6.0f)) * (1.0f / 6.0f);
    return x;
}

inline __attribute__((always_inline)) Vector activated(Vector x, Activation kind) {
    switch (kind) {
        case Activation::relu: return activated<Activation::relu>(x);
        case Activation::relu6: return activated<Activation::relu6>(x);
        case Activation::silu: return activated<Activation::silu>(x);
        case Activation::gelu: return activated<Activation::gelu>(x);
        case Activation::hard_swish: return activated<Activation::hard_swish>(x);
        default: return x;
    }
}

// Not inlined, so that the switch is evaluated once for many vectors.
inline __attribute__((noinline)) void curve(Vector* values, int32_t count, Activation kind) {
    for (int32_t i = 0; i < count; i++) values[i] = activated(values[i], kind);
}

inline void curve(float* values, int64_t count, Activation kind) {
    Vector some{};
    for (; count >= LANES; count -= LANES, values += LANES) {
        some = load(values);
        curve(&some, 1, kind);
        store(values, some);
    }
    std::memcpy(&some, values, count * sizeof(float));
    curve(&some, 1, kind);
    std::memcpy(values, &some, count * sizeof(float));
}

// An activation in two parts: bounds, which all kernels apply, and a curve, which only some activations have.
struct Finish {
    explicit Finish(Activation kind)
        : activation(kind),
          low(broadcast(kind == Activation::relu || kind == Activation::relu6 ? 0.0f : -HUGE_VALF)),
          high(broadcast(kind == Activation::relu6 ? 6.0f : HUGE_VALF)),
          curved(kind == Activation::silu || kind == Activation::gelu || kind == Activation::hard_swish) {}
    Activation activation;
    Vector low, high;
    bool curved;
};

}  // namespace INSTRUCTION_SET
