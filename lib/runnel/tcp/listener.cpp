#include "runnel/tcp/listener.hpp"

namespace runnel::tcp {

std::uint16_t Listeners::add(Listener listener) {
    std::uint16_t index = 0;
    while (index < listeners_.size() && listeners_[index].open) ++index;
    if (index == no_listener) return no_listener;
    listener.open = true;
    listener.next = first_of_port_[listener.port];
    first_of_port_[listener.port] = index;
    if (index == listeners_.size())
        listeners_.push_back(listener);
    else
        listeners_[index] = listener;
    return index;
}

}  // namespace runnel::tcp
