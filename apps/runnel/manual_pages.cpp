// `runnel manual` and `runnel completion`: what an installation has beside the command, made by the command
// itself.
#include <fmt/format.h>

#include "command.hpp"
#include "manual/manual.hpp"

namespace runnel::app {

Action add_manual(CLI::App& command) {
    command.footer("Example:\n  runnel manual | man -l -");
    return [&command] {
        fmt::print("{}", manual::man_page(*command.get_parent(), RUNNEL_VERSION));
        return ExitStatus::good;
    };
}

Action add_completion(CLI::App& command) {
    command.footer("Example:\n  source <(runnel completion)");
    return [&command] {
        fmt::print("{}", manual::bash_completion(*command.get_parent()));
        return ExitStatus::good;
    };
}

}  // namespace runnel::app
