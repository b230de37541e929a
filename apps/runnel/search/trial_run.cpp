// See trial_run.hpp.
#include "search/trial_run.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "quantity.hpp"

namespace runnel::search {
namespace {

// A folder for what a trial writes; gone with this.
class Folder {
  public:
    Folder() {
        std::string name = (std::filesystem::temp_directory_path() / "runnel-search-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr)
            throw TrialFailed(fmt::format("no folder for a trial's result can be made in {}: {}",
                                          std::filesystem::temp_directory_path().string(),
                                          std::strerror(errno)));
        path_ = name;
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] std::filesystem::path file(const char* name) const { return path_ / name; }

  private:
    std::filesystem::path path_;
};

// Runs this program with other words, what it prints going to `log`; returns its exit status, or 128 and the
// signal that ended it.
int run_again(const std::vector<std::string>& words, const std::filesystem::path& log) {
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
    pid_t child = 0;
    const int error = ::posix_spawn(&child, "/proc/self/exe", &files, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&files);
    if (error != 0) throw TrialFailed(fmt::format("a trial cannot be started: {}", std::strerror(error)));
    int status = 0;
    while (::waitpid(child, &status, 0) < 0)
        if (errno != EINTR) throw TrialFailed(fmt::format("a trial is lost: {}", std::strerror(errno)));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string last_line_of(const std::filesystem::path& file) {
    std::ifstream in(file);
    std::string line, last;
    while (std::getline(in, line))
        if (!line.empty()) last = line;
    return last.empty() ? "it said nothing" : last;
}

}  // namespace

results::Document run_trial(const std::vector<std::string>& line, const Trial& trial) {
    const Folder folder;
    const std::filesystem::path json = folder.file("result.json"), log = folder.file("log");
    std::vector<std::string> words{"runnel"};
    words.insert(words.end(), line.begin(), line.end());
    for (const std::string& word :
         {std::string{"--rate"}, std::to_string(trial.load), std::string{"--duration"},
          app::human_duration(trial.duration), std::string{"--json"}, json.string()})
        words.push_back(word);
    const int status = run_again(words, log);
    if (!std::filesystem::exists(json))
        throw TrialFailed(
            fmt::format("a trial at {}/s ended with status {}: {}", trial.load, status, last_line_of(log)));
    return results::read_documents(json).front();
}

Outcome outcome_of(const results::Document& document, const Trial& trial, const LatencyOf& latency) {
    double planned = document.number("transactions/planned").value_or(0);
    double carried = document.number("transactions/answered").value_or(0);
    double rate = document.number("rate/tps").value_or(0);
    // Where each connection has its count of them, the rate is that of connections.
    if (planned <= 0 || document.number("config/transactions").value_or(0) > 0) {
        planned = document.number("connections/attempted").value_or(0);
        carried = document.number("connections/completed").value_or(0);
        rate = document.number("rate/cps").value_or(0);
    }
    if (document.text("recipe") == "udp-oneway") {
        planned = carried = 0;
        for (const std::string way : {"datagrams/to_server/", "datagrams/to_client/"}) {
            planned += document.number(way + "planned").value_or(0);
            carried += document.number(way + "unique").value_or(0);
        }
        rate = document.number("rate/dps").value_or(0);
    }
    if (planned <= 0)
        throw TrialFailed(
            fmt::format("a trial at {}/s of {} had nothing to send; make it longer, or its rate greater",
                        trial.load, app::human_duration(trial.duration)));
    Outcome outcome{.trial = trial, .loss_ratio = std::max(0.0, 1 - carried / planned), .carried = rate};
    const std::string at = "latency_us/" + latency.histogram + "/intended/";
    if (document.number(at + "count").value_or(0) > 0)
        outcome.latency_us = document.number(at + latency.percentile);
    return outcome;
}

}  // namespace runnel::search
