// What the HTML pages that this program writes have in common.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace gigacat::report {

// Text for an element or a quoted attribute.
std::string escape_html(std::string_view text);
std::string base64(std::string_view bytes);
// "data:image/png;base64,...": an image inside a page. `type`: "png", "webp", "jpeg".
std::string data_address(std::string_view bytes, std::string_view type);
// A page that needs no other file: head with the style of all pages, `body`, and `script` where it is not empty.
std::string html_page(std::string_view title, std::string_view body, std::string_view script = "");
// Shows the values under the pointer of every chart (to_svg) of the page, and defines show_step(x), which moves a
// vertical line to x in all of them.
std::string_view hover_script();

}  // namespace gigacat::report
