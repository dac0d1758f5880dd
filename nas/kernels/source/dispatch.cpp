// Which instruction sets there are, and which one this processor runs.
#include "kernels.hpp"

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
