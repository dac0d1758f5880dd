// Random numbers for layers, and comparison of outputs; used by fuzz.cpp.
#pragma once

#include <cmath>
#include <limits>
#include <memory>
#include <random>

#include "kernels.hpp"

using Floats = std::unique_ptr<float[]>;
using Integers = std::unique_ptr<int32_t[]>;

struct Random {
    std::mt19937 engine;

    int32_t between(int32_t low, int32_t high) { return std::uniform_int_distribution<int32_t>(low, high)(engine); }
    // A size that is mostly small, and sometimes up to `high`.
    int32_t size(int32_t high) { return between(1, between(0, 7) ? 1 + high / 8 : high); }
    float number() { return std::normal_distribution<float>()(engine); }
    Floats numbers(int64_t count) {
        Floats found(new float[count]);
        for (int64_t i = 0; i < count; i++) found[i] = number();
        return found;
    }
    Activation activation() { return Activation(between(0, 5)); }
};

inline double activated(double x, Activation kind) {
    switch (kind) {
        case Activation::relu: return std::fmax(x, 0);
        case Activation::relu6: return std::fmin(std::fmax(x, 0), 6);
        case Activation::silu: return x / (1 + std::exp(-x));
        case Activation::gelu: return x * (1 + std::erf(x / std::sqrt(2.0))) / 2;
        case Activation::hard_swish: return x * std::fmin(std::fmax(x + 3, 0), 6) / 6;
        default: return x;
    }
}

// An expected output, and the sum of the absolute values of its terms.
struct Sum {
    double value, size;

    void add(double term) { value += term, size += std::fabs(term); }
};

// Compares the numbers that a kernel wrote with the expected ones.
class Comparison {
public:
    explicit Comparison(Activation kind) : m_kind(kind) {}
    void add(float found, const Sum& right) {
        const double difference = std::fabs(found - activated(right.value, m_kind));
        m_difference = std::fmax(m_difference, std::isnan(difference) ? HUGE_VAL : difference);
        m_size = std::fmax(m_size, right.size);
    }
    double error() const { return m_difference / std::fmax(m_size, 1e-30); }

private:
    Activation m_kind;
    double m_difference = 0, m_size = 0;
};

inline Floats unwritten(int64_t count) {
    Floats found(new float[count]);
    for (int64_t i = 0; i < count; i++) found[i] = std::numeric_limits<float>::quiet_NaN();
    return found;
}
