// main of a fuzz target built without libFuzzer: gives it each file of a corpus folder, each shorter
// beginning of the file, and the file with each single bit turned over; with `--thin`, for builds whose every
// step is slow, with one bit of each octet. Ends with an error where the folder holds no file.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

// From a block of exactly its size, so that a sanitizer sees a read of even one octet beyond.
void run(std::span<const std::uint8_t> input) {
    const std::vector<std::uint8_t> exact(input.begin(), input.end());
    LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

}  // namespace

int main(int argc, char** argv) {
    const bool thin = argc == 3 && std::string_view{argv[2]} == "--thin";
    if (argc != 2 && !thin) {
        std::fprintf(stderr, "usage: %s CORPUS_FOLDER [--thin]\n", argv[0]);
        return 2;
    }
    std::size_t files = 0;
    std::size_t inputs = 0;
    for (const auto& entry : std::filesystem::directory_iterator{argv[1]}) {
        std::ifstream file{entry.path(), std::ios::binary};
        const std::vector<char> read{std::istreambuf_iterator<char>{file}, {}};
        std::vector<std::uint8_t> octets(read.begin(), read.end());
        for (std::size_t size = 0; size <= octets.size(); ++size) run(std::span{octets}.first(size));
        for (std::size_t bit = 0; bit < octets.size() * 8; bit += thin ? 7 : 1) {
            const auto mask = static_cast<std::uint8_t>(1U << bit % 8);
            octets[bit / 8] ^= mask;
            run(octets);
            octets[bit / 8] ^= mask;
            ++inputs;
        }
        ++files;
        inputs += octets.size() + 1;
    }
    std::printf("%zu files, %zu inputs\n", files, inputs);
    return files == 0 ? 1 : 0;
}
