// Memory that a thread keeps from call to call.
#pragma once

#include <cstdint>
#include <cstring>
#include <new>

namespace INSTRUCTION_SET {

// Memory that is handed out from start to end, in pieces that start at multiples of 64 bytes.
class Scratch {
public:
    Scratch() = default;
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ~Scratch() { ::operator delete(m_data, ALIGNMENT); }

    // Takes back everything that was handed out, and makes room for `size` floats in `pieces` pieces.
    void reset(int64_t size, int64_t pieces) {
        size += pieces * LINE;
        if (size > m_size) {
            ::operator delete(m_data, ALIGNMENT);
            m_data = nullptr;
            m_data = static_cast<float*>(::operator new(size * sizeof(float), ALIGNMENT));
            m_size = size;
        }
        m_taken = 0;
    }

    float* take(int64_t size) {
        float* found = m_data + m_taken;
        m_taken += (size + LINE - 1) / LINE * LINE;
        return found;
    }

    // A position; back_to(position) takes back everything that was handed out after it.
    int64_t mark() const { return m_taken; }
    void back_to(int64_t mark) { m_taken = mark; }

private:
    static constexpr std::align_val_t ALIGNMENT{64};
    static constexpr int64_t LINE = 16;
    float* m_data = nullptr;
    int64_t m_size = 0, m_taken = 0;
};

// Not inlined, so that the thread's variable is looked up once.
__attribute__((noinline)) inline Scratch& scratch_of_thread() {
    thread_local Scratch scratch;
    return scratch;
}

}  // namespace INSTRUCTION_SET
