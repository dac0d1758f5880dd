// The table of instruction sets, the best one of this processor, and memory that they share.
#include "kernels.hpp"

#include <cstdlib>
#include <memory>
#include <new>

#ifdef HAS_avx512
namespace avx512 { extern const InstructionSet kernels; }
#endif
#ifdef HAS_avx2
namespace avx2 { extern const InstructionSet kernels; }
#endif
#ifdef HAS_portable
namespace portable { extern const InstructionSet kernels; }
#endif
#ifdef HAS_scalar
namespace scalar { extern const InstructionSet kernels; }
#endif

const InstructionSet* const instruction_sets[] = {
#ifdef HAS_avx512
    &avx512::kernels,
#endif
#ifdef HAS_avx2
    &avx2::kernels,
#endif
#ifdef HAS_portable
    &portable::kernels,
#endif
#ifdef HAS_scalar
    &scalar::kernels,
#endif
};
const int32_t num_instruction_sets = sizeof instruction_sets / sizeof *instruction_sets;

const InstructionSet& best_instruction_set() {
    for (const InstructionSet* found : instruction_sets)
        if (found->available()) return *found;
    return *instruction_sets[num_instruction_sets - 1];
}

float* scratch(int64_t floats, Purpose purpose) {
    struct Memory {
        std::unique_ptr<float, decltype(&std::free)> floats{nullptr, std::free};
        int64_t size = 0;
    };
    thread_local Memory memories[2];
    Memory& memory = memories[int(purpose)];
    if (memory.size < floats) {
        memory.floats.reset(static_cast<float*>(std::aligned_alloc(64, (floats * sizeof(float) + 63) / 64 * 64)));
        memory.size = memory.floats ? floats : 0;
        if (!memory.floats) throw std::bad_alloc();
    }
    return memory.floats.get();
}
