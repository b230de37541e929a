// `runnel report`: a result document as a page.
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

#include <fmt/format.h>

#include "command.hpp"
#include "results/page.hpp"

namespace runnel::app {
namespace {

struct PageSettings {
    std::string file, out;
};

ExitStatus run(PageSettings& settings) {
    const std::vector<results::Document> documents = results::read_documents(settings.file);
    const std::string page = results::to_page(documents.back());
    if (settings.out.empty())
        settings.out = settings.file == "-" || std::filesystem::is_directory(settings.file)
                           ? "report.html"
                           : std::filesystem::path(settings.file).replace_extension(".html").string();
    if (settings.out == "-") {
        std::fwrite(page.data(), 1, page.size(), stdout);
        return ExitStatus::good;
    }
    std::ofstream file(settings.out, std::ios::binary);
    file << page << std::flush;
    if (!file)
        throw std::runtime_error(fmt::format("--out {}: the file cannot be written ({}); name one that can",
                                             settings.out, std::strerror(errno)));
    if (documents.size() > 1)
        fmt::print(stderr, "runnel report: {} documents, of which the page shows the last ({})\n",
                   documents.size(), documents.back().source);
    fmt::print("{}\n", settings.out);
    return ExitStatus::good;
}

}  // namespace

Action add_report(CLI::App& command) {
    const auto settings = std::make_shared<PageSettings>();
    command.add_option("FILE", settings->file, "A result document (--json of a run); - is standard input")
        ->type_name("")
        ->required();
    command
        .add_option("--out,-o", settings->out,
                    "The page; - is standard output. Without it the name of FILE, ending in .html")
        ->type_name("FILE");
    command.footer(
        "Example:\n"
        "  runnel handshake --rate 100k --duration 10s --json result.json\n"
        "  runnel report result.json                              writes result.html\n"
        "The page is one file that loads nothing: it can be mailed, or kept beside the document.");
    return [settings] { return run(*settings); };
}

}  // namespace runnel::app
