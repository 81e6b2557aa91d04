#include "net/http/front.h"

#include "net/http/text.h"

namespace millrace::net {

std::string_view HttpRequest::field(std::string_view name) const {
  for (const HttpField& each : fields) {
    if (equal_but_for_case(each.name, name)) return each.value;
  }
  return {};
}

}  // namespace millrace::net
