// A receipt as text: base64url (RFC 4648, section 5) of its 24 bytes, 32 characters, no padding.
#pragma once

#include <string>
#include <string_view>

#include "millrace/message.h"
#include "millrace/result.h"

namespace millrace::tools {

std::string receipt_text(const Receipt& receipt);
// Error: receipt_invalid, if it is not exactly 32 characters of the alphabet.
Result<Receipt> parse_receipt(std::string_view text);
// Any bytes, without padding.
std::string base64url(std::string_view bytes);

}  // namespace millrace::tools
