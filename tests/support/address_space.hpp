// Little memory, so that a test of what is said then needs no small machine.
#pragma once

#include <cstddef>
#include <fstream>

#include <sys/resource.h>
#include <unistd.h>

namespace runnel::test {

/// Octets of address space that this process has mapped.
inline std::size_t address_space() {
    std::size_t pages = 0;
    std::ifstream{"/proc/self/statm"} >> pages;
    return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

/// While it lives the process can map so many octets more, and no others.
class AddressSpaceLimit {
  public:
    explicit AddressSpaceLimit(std::size_t more) {
        getrlimit(RLIMIT_AS, &before_);
        const rlimit limit{address_space() + more, before_.rlim_max};
        setrlimit(RLIMIT_AS, &limit);
    }
    ~AddressSpaceLimit() { setrlimit(RLIMIT_AS, &before_); }
    AddressSpaceLimit(const AddressSpaceLimit&) = delete;
    AddressSpaceLimit& operator=(const AddressSpaceLimit&) = delete;

  private:
    rlimit before_{};
};

}  // namespace runnel::test
