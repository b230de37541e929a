// Settings by an 8-bit index, which is what a TCB has room for.
#pragma once

#include <cstdint>
#include <vector>

#include "runnel/tcp/settings.hpp"

namespace runnel::tcp {

/// Up to 255 different settings in use at once, counted by who names them, beside the plain ones (index 0).
/// Memory is taken at construction.
class SettingsTable {
  public:
    static constexpr std::uint8_t plain = 0;
    static constexpr std::uint16_t none = 256;

    SettingsTable() : entries_(256) {}

    /// The index of these settings, with one more user; `none` where the table is full.
    [[nodiscard]] std::uint16_t acquire(const Settings& settings) noexcept {
        if (settings == entries_[plain].settings) return plain;
        if (last_ != plain && entries_[last_].users > 0 && entries_[last_].settings == settings) [[likely]] {
            ++entries_[last_].users;
            return last_;
        }
        std::uint16_t unused = none;
        for (std::uint16_t i = 1; i < entries_.size(); ++i) {
            if (entries_[i].users == 0) {
                if (unused == none) unused = i;
            } else if (entries_[i].settings == settings) {
                unused = i;
                break;
            }
        }
        if (unused == none) return none;
        last_ = static_cast<std::uint8_t>(unused);
        entries_[last_].settings = settings;
        ++entries_[last_].users;
        return last_;
    }
    void add_user(std::uint8_t index) noexcept {
        if (index != plain) ++entries_[index].users;
    }
    void release(std::uint8_t index) noexcept {
        if (index != plain) --entries_[index].users;
    }
    [[nodiscard]] const Settings& operator[](std::uint8_t index) const noexcept {
        return entries_[index].settings;
    }

  private:
    struct Entry {
        Settings settings{};
        std::uint32_t users = 0;
    };
    std::vector<Entry> entries_;
    std::uint8_t last_ = plain;
};

}  // namespace runnel::tcp
