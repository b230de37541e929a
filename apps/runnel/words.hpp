// Which known word a person meant who wrote another.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace runnel::app {

/// Of `known`, the word that `given` was probably meant to be; empty where none is near.
[[nodiscard]] std::string nearest(std::string_view given, const std::vector<std::string>& known);

}  // namespace runnel::app
