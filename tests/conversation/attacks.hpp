// An embedder that notes what it hears of attacks.
#pragma once

#include <vector>

#include "runnel/tcp/attack.hpp"

#include "conversation.hpp"

namespace runnel::test {

struct Watcher final : tcp::Observer {
    void attack(const tcp::AttackEpisode& episode) noexcept override { heard.push_back(episode); }
    std::vector<tcp::AttackEpisode> heard;

    [[nodiscard]] std::string all() const {
        std::string lines;
        for (const tcp::AttackEpisode& episode : heard) lines += to_string(episode) + '\n';
        return lines;
    }
};

/// `small_stack` with somebody who listens.
[[nodiscard]] inline StackConfig watched(Watcher& watcher) {
    StackConfig config = small_stack();
    config.tcp.observer = &watcher;
    return config;
}

}  // namespace runnel::test
