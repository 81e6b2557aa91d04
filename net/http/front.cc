#include "net/http/front.h"

#include <algorithm>

namespace millrace::net {

std::string_view HttpRequest::field(std::string_view name) const {
  const auto is_it = [name](const HttpField& field) {
    return field.name.size() == name.size() &&
           std::equal(name.begin(), name.end(), field.name.begin(), [](char lower, char any) {
             return lower == (any >= 'A' && any <= 'Z' ? static_cast<char>(any | 0x20) : any);
           });
  };
  const auto found = std::find_if(fields.begin(), fields.end(), is_it);
  return found == fields.end() ? std::string_view() : found->value;
}

}  // namespace millrace::net
