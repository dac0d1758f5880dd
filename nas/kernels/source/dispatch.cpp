// Which instruction sets there are, and which one this processor runs; what they share.
#include "kernels.hpp"

#include <cstdlib>
#include <memory>
#include <new>

#if defined(__x86_64__)
namespace avx512 { extern const InstructionSet kernels; }
namespace avx2 { extern const InstructionSet kernels; }
#endif
namespace portable { extern const InstructionSet kernels; }
namespace scalar { extern const InstructionSet kernels; }

const InstructionSet* const instruction_sets[] = {
#if defined(__x86_64__)
    &avx512::kernels,
    &avx2::kernels,
#endif
    &portable::kernels,
    &scalar::kernels,
};
const int32_t num_instruction_sets = sizeof instruction_sets / sizeof *instruction_sets;

const InstructionSet& best_instruction_set() {
    for (const InstructionSet* found : instruction_sets)
        if (found->available()) return *found;
    return scalar::kernels;
}

float* scratch(int64_t floats) {
    thread_local std::unique_ptr<float, decltype(&std::free)> memory(nullptr, std::free);
    thread_local int64_t size = 0;
    if (size < floats) {
        memory.reset(static_cast<float*>(std::aligned_alloc(64, (floats * sizeof(float) + 63) / 64 * 64)));
        size = memory ? floats : 0;
        if (!memory) throw std::bad_alloc();
    }
    return memory.get();
}
