// See document.hpp.
#include "results/document.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>

#include <fmt/format.h>

namespace runnel::results {
namespace {

using Json = nlohmann::ordered_json;

void add_checked(const std::string& source, Json json, std::vector<Document>& documents) {
    const std::string schema =
        json.is_object() && json.contains("schema") && json["schema"].is_string() ? json["schema"] : "";
    if (schema != "runnel.result/1")
        throw BadDocument(fmt::format(
            "{}: this is no result document{}; write one with runnel handshake --json FILE or runnel load "
            "--json FILE",
            source, schema.empty() ? "" : fmt::format(" but has the schema \"{}\"", schema)));
    documents.push_back({source, std::move(json)});
}

void read_stream(const std::string& source, std::istream& in, std::vector<Document>& documents) {
    const std::size_t before = documents.size();
    try {
        while ((in >> std::ws).good() && in.peek() != std::istream::traits_type::eof()) {
            Json json;
            in >> json;
            if (json.is_array())
                for (Json& one : json) add_checked(source, std::move(one), documents);
            else
                add_checked(source, std::move(json), documents);
        }
    } catch (const nlohmann::json::exception& wrong) {
        const std::string_view said = wrong.what();
        // Behind the library's own name of the error, "[json.exception.parse_error.101] ".
        throw BadDocument(fmt::format("{}: this is not JSON: {}", source, said.substr(said.find("] ") + 2)));
    }
    const std::size_t count = documents.size() - before;
    if (count == 0)
        throw BadDocument(fmt::format(
            "{}: there is nothing in it; write a result with --json, once the run has ended", source));
    for (std::size_t i = 0; count > 1 && i < count; ++i)
        documents[before + i].source = fmt::format("{} ({} of {})", source, i + 1, count);
}

}  // namespace

const Json& Document::at(std::string_view path) const {
    static const Json nothing;
    const Json* here = &json;
    while (!path.empty()) {
        const std::size_t slash = path.find('/');
        const std::string_view name = path.substr(0, slash);
        if (!here->is_object()) return nothing;
        const auto found = here->find(name);
        if (found == here->end()) return nothing;
        here = &*found;
        path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
    }
    return *here;
}

std::optional<double> Document::number(std::string_view path) const {
    const Json& found = at(path);
    if (!found.is_number()) return std::nullopt;
    return found.get<double>();
}

std::string Document::text(std::string_view path) const {
    const Json& found = at(path);
    return found.is_string() ? found.get<std::string>() : std::string{};
}

std::vector<Document> read_documents(const std::filesystem::path& path) {
    std::vector<Document> documents;
    if (path == "-") {
        read_stream("standard input", std::cin, documents);
        return documents;
    }
    std::vector<std::filesystem::path> files{path};
    std::error_code error;
    if (std::filesystem::is_directory(path, error)) {
        files.clear();
        for (const auto& entry : std::filesystem::directory_iterator(path))
            if (entry.path().extension() == ".json") files.push_back(entry.path());
        std::ranges::sort(files);
        if (files.empty())
            throw BadDocument(
                fmt::format("{}: the folder has no *.json in it; name one that has results", path.string()));
    }
    for (const std::filesystem::path& file : files) {
        std::ifstream in(file);
        if (!in)
            throw BadDocument(fmt::format("{}: the file cannot be read ({}); name one that can",
                                          file.string(), std::strerror(errno)));
        read_stream(file.string(), in, documents);
    }
    return documents;
}

}  // namespace runnel::results
