// What the bodies and attributes of messages may be made of, in SQS and SNS alike.
//
// Threads: any; no state.
#pragma once

#include <cstddef>
#include <string_view>

namespace millrace::net {

// The place of the first character that no XML could hold, which are those that are refused; npos
// if there is none. `text` is UTF-8.
size_t find_forbidden(std::string_view text);

// Sign, digits with a point, exponent: as far as SQS keeps numbers.
bool is_number(std::string_view text);

// "String", "Number" or "Binary", alone or with ".something" behind it.
bool is_attribute_type(std::string_view type);

}  // namespace millrace::net
