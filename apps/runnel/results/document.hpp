// Result documents (schema runnel.result/1) as they are read back: of one file or of many.
#pragma once

#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace runnel::results {

/// A file that cannot be read or is no result document; the message names the file and the mend.
struct BadDocument : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Document {
    std::string source;  ///< the file, and which of its documents where it holds several
    nlohmann::ordered_json json;

    /// The number at "rate/cps"; nothing where there is none.
    [[nodiscard]] std::optional<double> number(std::string_view path) const;
    /// The text at "verdict"; empty where there is none.
    [[nodiscard]] std::string text(std::string_view path) const;
    /// What is at a path; null where there is nothing.
    [[nodiscard]] const nlohmann::ordered_json& at(std::string_view path) const;
};

/// The documents of a file, one behind the other or in an array; of a folder, those of all its *.json, by
/// name. "-" is standard input. Throws `BadDocument`.
[[nodiscard]] std::vector<Document> read_documents(const std::filesystem::path& path);

}  // namespace runnel::results
