#include "runnel/runtime/poll_loop.hpp"

namespace runnel::runtime {

template class BasicPollLoop<Stack>;

}  // namespace runnel::runtime
