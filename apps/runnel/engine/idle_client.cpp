// See idle_client.hpp.
#include "engine/idle_client.hpp"

namespace runnel::load {

bool IdleClient::poll(Instant now) noexcept {
    now_ = now;
    switch (present_phase()) {
        case Phase::waiting:
            phase_end_ = now + ramp_;
            enter(Phase::ramp);
            return true;
        case Phase::ramp:
            if (now < phase_end_ && !told_to_stop()) return false;
            window_begin_ = now;
            phase_end_ = now + duration_;
            enter(Phase::measured);
            return true;
        case Phase::measured:
            if (now < phase_end_ && !told_to_stop()) return false;
            measurement_.window_length = now - window_begin_;
            enter(Phase::draining);
            return true;
        case Phase::draining:
            enter(Phase::finished);
            return true;
        case Phase::held:
        case Phase::closing:
        case Phase::finished:
            return false;
    }
    return false;
}

}  // namespace runnel::load
