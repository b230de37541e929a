// The names of states, errors and endings, as RFC 9293 and people write them.
#include "runnel/tcp/connection.hpp"

namespace runnel::tcp {

std::string_view to_string(State state) noexcept {
    switch (state) {
        case State::closed:
            return "CLOSED";
        case State::syn_sent:
            return "SYN-SENT";
        case State::syn_received:
            return "SYN-RECEIVED";
        case State::established:
            return "ESTABLISHED";
        case State::fin_wait_1:
            return "FIN-WAIT-1";
        case State::fin_wait_2:
            return "FIN-WAIT-2";
        case State::close_wait:
            return "CLOSE-WAIT";
        case State::closing:
            return "CLOSING";
        case State::last_ack:
            return "LAST-ACK";
        case State::time_wait:
            return "TIME-WAIT";
    }
    return "?";
}

std::string_view to_string(Error error) noexcept {
    switch (error) {
        case Error::none:
            return "no error";
        case Error::no_connection:
            return "the connection is over";
        case Error::wrong_state:
            return "the connection is not open in that direction";
        case Error::invalid_address:
            return "this address cannot be connected to, or sent from";
        case Error::no_route:
            return "no interface leads to that address; add a route";
        case Error::address_in_use:
            return "this pair of addresses and ports has a connection";
        case Error::no_port_free:
            return "every ephemeral port to that destination is taken; use more addresses or a wider range";
        case Error::port_elsewhere:
            return "replies to that local port reach another core; let the stack choose the port";
        case Error::connections_full:
            return "the table of connections is full; raise tcp::Config::connections";
        case Error::no_memory:
            return "memory for sending is spent; raise tcp::Config::cold_blocks or the mbuf pool";
        case Error::invalid_setting:
            return "invalid setting";
        case Error::buffer_full:
            return "the send buffer is full; go on when `writable` is called";
    }
    return "?";
}

std::string_view to_string(CloseReason reason) noexcept {
    switch (reason) {
        case CloseReason::orderly:
            return "closed by both sides";
        case CloseReason::reset:
            return "reset by the peer";
        case CloseReason::refused:
            return "refused";
        case CloseReason::timed_out:
            return "timed out";
        case CloseReason::aborted:
            return "aborted";
        case CloseReason::unreachable:
            return "unreachable";
    }
    return "?";
}

}  // namespace runnel::tcp
