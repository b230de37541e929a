// What this processor can do beyond what the program is compiled for.
#pragma once

namespace runnel {

/// It has the AES instructions (x86: AES-NI). False on other architectures: there no code here uses theirs.
[[nodiscard]] inline bool processor_has_aes() noexcept {
#if defined(__x86_64__)
    return __builtin_cpu_supports("aes") != 0;
#else
    return false;
#endif
}

}  // namespace runnel
