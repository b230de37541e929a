// A result document as a page: one HTML file that needs no other, in light and dark, wide and narrow.
#pragma once

#include <string>

#include "results/document.hpp"

namespace runnel::results {

/// The page. What a document has not (older ones have no distributions) is left out.
[[nodiscard]] std::string to_page(const Document& document);

}  // namespace runnel::results
