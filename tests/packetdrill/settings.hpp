// With which settings the stack under packetdrill runs:
// `--so_flags=192.168.0.1,timestamps=0,initial_window=4`, and the sysctls that the script itself has set.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "runnel/stack/stack.hpp"

namespace runnel::packetdrill {

/// The link that the script plays: everybody but the stack itself.
inline constexpr MacAddress stack_mac{{0x02, 0, 0, 0, 0, 0x01}};
inline constexpr MacAddress script_mac{{0x02, 0, 0, 0, 0, 0x02}};

class Settings {
  public:
    /// The address, then settings as `name=value`, separated by commas. Throws `std::invalid_argument` for
    /// what it does not understand, and names it and the mend.
    explicit Settings(std::string_view so_flags);

    /// The configuration, with those sysctls of this network namespace that the stack has something for:
    /// scripts made for Linux begin by setting some. What `so_flags` says comes before them.
    [[nodiscard]] StackConfig config() const;
    /// Whether every listener gives and takes Fast Open cookies, as Linux's tcp_fastopen may say.
    [[nodiscard]] bool fast_open_for_all() const;

  private:
    void apply(StackConfig& config, std::string_view name, std::string_view value) const;
    /// What `so_flags`, else a sysctl, says of a setting; empty where neither does.
    [[nodiscard]] std::string value_of(std::string_view setting) const;

    Ipv4Address address_;
    std::map<std::string, std::string> given_;
};

}  // namespace runnel::packetdrill
