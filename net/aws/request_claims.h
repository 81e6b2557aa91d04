// What a request says of itself, before anything of it is checked: whose key it is signed with, for
// which region and service, and which parameters it has.
//
// Views are of the request.   Threads: any; no state.
#pragma once

#include <string>
#include <string_view>

#include "net/http/front.h"

namespace millrace::net {

// Of the signature's scope, in its field or in the query. Empty: there is none, or none that can
// be.
struct ClaimedScope {
  std::string_view key, region, service;
};
ClaimedScope claimed_scope(const HttpRequest& request);
inline std::string_view claimed_key(const HttpRequest& request) {
  return claimed_scope(request).key;
}

// A field of this type, which is given in lower case, whatever stands behind the type.
bool is_of_type(const HttpRequest& request, std::string_view type);
// The body if it is a form, else nothing.
std::string_view form_of(const HttpRequest& request);

// By which the client reached us, "http://127.0.0.1:9324"; or what is advertised instead, unless
// that is empty.
std::string base_url(const HttpRequest& request, std::string_view advertised);

// As it was sent, of the first parameter with this name in the query or the form.
std::string_view raw_parameter(const HttpRequest& request, std::string_view name);

}  // namespace millrace::net
