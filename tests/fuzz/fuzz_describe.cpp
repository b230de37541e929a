// The line of text for a frame: of any octets, one line of printable characters.
#include <algorithm>

#include "runnel/wire/describe.hpp"

#include "require.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto octets = runnel::fuzz::octets_of(data, size);
    for (const std::string& line : {runnel::wire::describe(octets), runnel::wire::describe_ip(octets)})
        runnel::fuzz::require(!line.empty() && std::all_of(line.begin(), line.end(),
                                                           [](char c) { return c >= ' ' && c <= '~'; }),
                              "the line holds printable characters only");
    return 0;
}
