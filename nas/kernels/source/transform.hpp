// Discrete Fourier transforms of LANES signals at once: each number is a vector with one lane per signal, so no lanes are
// shuffled.
#pragma once

#include "tile.hpp"

namespace INSTRUCTION_SET {

struct Complex {
    Vector re, im;
};

constexpr double TURN = 6.283185307179586;

// Cosine by its Taylor series, for constants.
constexpr double cosine(double angle) {
    double sum = 1, term = 1;
    for (int i = 1; i < 40; i += 2) sum += term *= -angle * angle / (i * (i + 1));
    return sum;
}

inline INLINED Complex times(Complex a, float re, float im) { return {a.re * re - a.im * im, a.re * im + a.im * re}; }
inline INLINED Complex sum(Complex a, Complex b) { return {a.re + b.re, a.im + b.im}; }
inline INLINED Complex difference(Complex a, Complex b) { return {a.re - b.re, a.im - b.im}; }

// a - ib, a + ib
inline INLINED Complex minus_i(Complex a, Complex b) { return {a.re + b.im, a.im - b.re}; }
inline INLINED Complex plus_i(Complex a, Complex b) { return {a.re - b.im, a.im + b.re}; }

// a × e^(-2πi POWER / SIZE)
template <int POWER, int SIZE>
inline INLINED Complex rotated(Complex a) {
    if constexpr (POWER == 0) return a;
    else if constexpr (4 * POWER == SIZE) return {a.im, -a.re};
    else {
        constexpr double angle = TURN * POWER / SIZE;
        constexpr float re = float(cosine(angle)), im = float(-cosine(angle - TURN / 4));
        return times(a, re, im);
    }
}

// A factor of a length that is computed as a product of two transforms; 0 for lengths that are written out.
constexpr int factor_of(int size) { return size == 6 || size == 9 ? 3 : size == 8 ? 4 : size == 10 ? 5 : 0; }

// Transforms SIZE numbers in registers and in place: number k becomes Σ numbers[j] e^(-2πi jk / SIZE).
template <int SIZE>
inline INLINED void transform(Complex* z) {
    if constexpr (SIZE == 2) {
        const Complex a = z[0];
        z[0] = sum(a, z[1]), z[1] = difference(a, z[1]);
    } else if constexpr (SIZE == 3) {
        const Complex both = sum(z[1], z[2]), turn = difference(z[1], z[2]);
        const Complex half{z[0].re - 0.5f * both.re, z[0].im - 0.5f * both.im};
        const Complex side{0.8660254038f * turn.re, 0.8660254038f * turn.im};
        z[0] = sum(z[0], both), z[1] = minus_i(half, side), z[2] = plus_i(half, side);
    } else if constexpr (SIZE == 4) {
        const Complex a = sum(z[0], z[2]), b = difference(z[0], z[2]), c = sum(z[1], z[3]), d = difference(z[1], z[3]);
        z[0] = sum(a, c), z[1] = minus_i(b, d), z[2] = difference(a, c), z[3] = plus_i(b, d);
    } else if constexpr (SIZE == 5) {
        constexpr float c1 = 0.3090169944f, c2 = -0.8090169944f, s1 = 0.9510565163f, s2 = 0.5877852523f;
        const Complex a = sum(z[1], z[4]), b = sum(z[2], z[3]), c = difference(z[1], z[4]), d = difference(z[2], z[3]);
        const Complex p{z[0].re + c1 * a.re + c2 * b.re, z[0].im + c1 * a.im + c2 * b.im};
        const Complex q{z[0].re + c2 * a.re + c1 * b.re, z[0].im + c2 * a.im + c1 * b.im};
        const Complex r{s1 * c.re + s2 * d.re, s1 * c.im + s2 * d.im}, s{s2 * c.re - s1 * d.re, s2 * c.im - s1 * d.im};
        z[0] = sum(z[0], sum(a, b)), z[1] = minus_i(p, r), z[4] = plus_i(p, r), z[2] = minus_i(q, s), z[3] = plus_i(q, s);
    } else {
        constexpr int P = factor_of(SIZE), Q = SIZE / P;
        Complex parts[Q][P];
        unrolled<Q>([&](auto b) INLINED {
            unrolled<P>([&](auto a) INLINED { parts[b][a] = z[b + Q * a]; });
            transform<P>(parts[b]);
        });
        unrolled<P>([&](auto a) INLINED {
            Complex column[Q];
            unrolled<Q>([&](auto b) INLINED { column[b] = rotated<a * b, SIZE>(parts[b][a]); });
            transform<Q>(column);
            unrolled<Q>([&](auto b) INLINED { z[a + P * b] = column[b]; });
        });
    }
}

// Numbers `step` floats apart, of which the first `size` exist; others are read as zero and not written.
struct Signal {
    float *re, *im;
    int64_t step;
    int32_t size;

    // The signal with real and imaginary parts exchanged; a transform from and to such signals is the inverse transform
    // without its factor.
    Signal exchanged() const { return {im, re, step, size}; }
};

// One of the two passes of a transform of RADIX × count numbers (Cooley and Tukey 1965), with results in order (Stockham).
// The first pass multiplies its results by `twiddles`.
template <int RADIX, bool FIRST>
__attribute__((noinline)) void pass(const Signal& from, const Signal& to, int32_t count, const float* twiddles) {
    for (int32_t i = 0; i < count; i++) {
        Complex z[RADIX];
        unrolled<RADIX>([&](auto j) INLINED {
            const int32_t at = i + count * j;
            if (!FIRST || at < from.size) z[j] = {load(from.re + at * from.step), load(from.im + at * from.step)};
            else z[j] = {Vector{}, Vector{}};
        });
        transform<RADIX>(z);
        unrolled<RADIX>([&](auto j) INLINED {
            const int32_t at = FIRST ? i * RADIX + j : i + count * j;
            if (FIRST && j > 0) z[j] = times(z[j], twiddles[2 * j - 2], twiddles[2 * j - 1]);
            if (FIRST || at < to.size) store(to.re + at * to.step, z[j].re), store(to.im + at * to.step, z[j].im);
        });
        twiddles += 2 * (RADIX - 1);
    }
}

template <bool FIRST>
inline void pass(int32_t radix, const Signal& from, const Signal& to, int32_t count, const float* twiddles) {
    switch (radix) {
        case 3: return pass<3, FIRST>(from, to, count, twiddles);
        case 4: return pass<4, FIRST>(from, to, count, twiddles);
        case 5: return pass<5, FIRST>(from, to, count, twiddles);
        case 6: return pass<6, FIRST>(from, to, count, twiddles);
        case 8: return pass<8, FIRST>(from, to, count, twiddles);
        case 9: return pass<9, FIRST>(from, to, count, twiddles);
        default: return pass<10, FIRST>(from, to, count, twiddles);
    }
}

struct Radixes {
    int32_t first, second;

    int32_t size() const { return first * second; }
    int32_t num_twiddles() const { return 2 * (first - 1) * second; }
};

// The shortest transform with an even length of at least `least`; {0, 0} if there is none.
inline Radixes radixes_of(int64_t least) {
    constexpr Radixes known[] = {{3, 4}, {4, 4}, {3, 6}, {4, 5}, {4, 6}, {5, 6}, {4, 8}, {6, 6}, {5, 8},
                                 {6, 8}, {5, 10}, {6, 9}, {6, 10}, {8, 8}, {8, 9}, {8, 10}, {9, 10}, {10, 10}};
    for (const Radixes& found : known)
        if (found.size() >= least) return found;
    return {0, 0};
}

inline void write_twiddles(const Radixes& radixes, float* to) {
    for (int32_t i = 0; i < radixes.second; i++)
        for (int32_t j = 1; j < radixes.first; j++) {
            const double angle = TURN * i * j / radixes.size();
            *to++ = float(__builtin_cos(angle)), *to++ = float(-__builtin_sin(angle));
        }
}

// A transform of one length, with memory for the values between its passes.
struct Transform {
    Radixes radixes;
    const float* twiddles;
    float* memory;

    void operator()(const Signal& from, const Signal& to) const {
        const Signal between{memory, memory + LANES, 2 * LANES, radixes.size()};
        pass<true>(radixes.first, from, between, radixes.second, twiddles);
        pass<false>(radixes.second, between, to, radixes.first, nullptr);
    }
};

}  // namespace INSTRUCTION_SET
