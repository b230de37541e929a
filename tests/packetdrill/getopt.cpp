// getopt_long for EAL. packetdrill has its own copies of the C library's `optind` and `optarg`, and loads
// this library with RTLD_DEEPBIND: EAL would set and read others than those that the C library's getopt_long
// uses. What EAL finds first is what stands here, and nobody outside this library finds it at all.
#include <cstring>
#include <string_view>

#include <getopt.h>

extern "C" {

[[gnu::visibility("default")]] int optind = 1;
[[gnu::visibility("default")]] char* optarg = nullptr;

/// Long options only, in full, with their argument after `=`.
[[gnu::visibility("default")]] int getopt_long(int argc, char* const* argv, const char*,
                                               const option* options, int* index) noexcept {
    optarg = nullptr;
    if (optind >= argc || std::strncmp(argv[optind], "--", 2) != 0) return -1;
    const std::string_view given{argv[optind++] + 2};
    const std::size_t equals = given.find('=');
    for (int i = 0; options[i].name != nullptr; ++i) {
        if (given.substr(0, equals) != options[i].name) continue;
        if (equals != std::string_view::npos) optarg = argv[optind - 1] + 2 + equals + 1;
        if (index != nullptr) *index = i;
        if (options[i].flag == nullptr) return options[i].val;
        *options[i].flag = options[i].val;
        return 0;
    }
    return '?';
}
}
