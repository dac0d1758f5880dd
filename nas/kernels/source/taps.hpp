// Reads the values that a vector of outputs needs from a row for a column of the kernel. Zeros beyond the row's ends are
// shuffled in, so that rows need no copy with zeros around them. Kernels have an odd number of columns and pad half of it.
#pragma once

#include "tile.hpp"

namespace INSTRUCTION_SET {

// The ends of a row that a vector of outputs reaches. If it reaches both, it holds one whole row, or a row of each of two
// channels in its halves.
enum class Reach { neither, left, right, both, both_of_two };

constexpr bool is_narrow(Reach reach) { return reach == Reach::both || reach == Reach::both_of_two; }

inline INLINED Integers lane_numbers() {
    Integers lanes;
    for (int i = 0; i < LANES; i++) lanes[i] = i;
    return lanes;
}

// Indices of every `step`-th lane of two vectors, from `first` on, for a shuffle; kept in a register, because GCC would read
// them from memory each time.
inline INLINED Integers every(int32_t step, int32_t first) {
    Integers found = lane_numbers() * step + first;
#ifdef __AVX512F__
    asm("" : "+v"(found));
#endif
    return found;
}

// a's first half, then b's.
inline INLINED Vector halves(Vector a, Vector b) { return lane_numbers() < LANES / 2 ? a : b; }

// Shuffle indices for rows of `width` in each `room` lanes: the lane `by` to the right, or LANES (a zero) past a row's end.
inline Integers shift(int32_t by, int32_t width, int32_t room) {
    const Integers found = lane_numbers() + by, at = (lane_numbers() & (room - 1)) + by;
    return (at >= 0) & (at < width) ? found : Integers{} + LANES;
}

constexpr int FARTHEST = 2;  // lanes to the right

// Reads one row at a time. MANY: the taps of more than one column of the kernel are needed.
template <int STRIDE, Reach REACH, bool MANY>
class Taps {
public:
    // `shifts`: results of shift() for -FARTHEST … FARTHEST; used for narrow rows only.
    INLINED explicit Taps(const Integers* shifts) {
        unrolled<2 * FARTHEST + 1>([&](auto i) INLINED {
            constexpr int by = i - FARTHEST;
            if constexpr (is_narrow(REACH)) m_shifts[i] = shifts[i];
            else m_shifts[i] = every(1, by < 0 ? LANES + by : by);
        });
        m_evens = every(2, 0), m_odds = every(2, 1);
    }

    // Reads the row whose columns under the kernel's middle start at `from`; of two channels, the second's start at `second`.
    INLINED void read(const float* from, const float* second) {
        if constexpr (REACH == Reach::both_of_two && STRIDE == 1) m_parts[0] = halves(load_once(from), load_once(second - LANES / 2));
        else if constexpr (STRIDE == 1 && IS_HELD) m_parts[0] = load_once(from);
        else if constexpr (STRIDE == 2) {
            const Vector a = load_once(from), b = load_once(REACH == Reach::both_of_two ? second : from + LANES);
            m_parts[0] = __builtin_shuffle(a, b, m_evens), m_parts[1] = __builtin_shuffle(a, b, m_odds);
        }
    }

    // The values DISTANCE columns to the right of the kernel's middle.
    template <int DISTANCE>
    INLINED Vector tap(const float* from) const {
        constexpr int part = (DISTANCE + 4 * STRIDE) % STRIDE, by = (DISTANCE - part) / STRIDE;
        constexpr bool ends = (by < 0 && REACH == Reach::left) || (by > 0 && REACH == Reach::right);
        if constexpr (STRIDE == 1 && !is_narrow(REACH) && !ends && (by != 0 || !IS_HELD)) return load_once(from + by);
        const Vector middle = IS_HELD ? m_parts[part] : load_once(from);
        if constexpr (by == 0) return middle;
        else if constexpr (is_narrow(REACH)) return __builtin_shuffle(middle, Vector{}, m_shifts[FARTHEST + by]);
        else if constexpr (by < 0) return __builtin_shuffle(ends ? Vector{} : broadcast(from[DISTANCE]), middle, m_shifts[FARTHEST + by]);
        else return __builtin_shuffle(middle, ends ? Vector{} : broadcast(from[(LANES - 1) * STRIDE + DISTANCE]), m_shifts[FARTHEST + by]);
    }

private:
    static constexpr bool IS_HELD = STRIDE == 2 || MANY || is_narrow(REACH);
    Integers m_shifts[2 * FARTHEST + 1], m_evens, m_odds;
    Vector m_parts[2];  // the columns of each phase
};

}  // namespace INSTRUCTION_SET
