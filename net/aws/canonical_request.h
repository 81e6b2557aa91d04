// CanonicalRequest: the one text of a request that its signature is made over (SigV4).
//
// Made from the bytes as they came, not from a parsed form of them:
//  - the path is encoded once more as it was sent (so %2F is %252F), after empty, "." and ".."
//    segments are taken out as clients take them out before they sign;
//  - each key and value of the query is decoded and encoded again, so that two spellings of the
//    same bytes are one; '+' is a blank, because that is what the reader of the query makes of it.
//    Repeated parameters all count, sorted by key and then by value;
//  - the fields that SignedHeaders names, values without outer and repeated blanks, those with the
//    same name joined by commas.
//
// Threads: one at a time.   Memory: grows to the largest head seen, a few times 16 KiB.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "net/http/front.h"

namespace millrace::net {

class CanonicalRequest {
 public:
  // `signed_headers`: lower-case names in strictly rising order, separated by ';'. `payload_hash`
  // as it goes into the text. `presigned`: X-Amz-Signature is left out of the query.
  // Empty if `signed_headers` is not in that form, or names a field that did not come.
  std::string_view write(const HttpRequest& request, std::string_view signed_headers,
                         std::string_view payload_hash, bool presigned);

 private:
  struct Parameter {
    size_t key = 0;  // offsets in encoded_
    size_t value = 0;
    size_t end = 0;
  };
  void add_path(std::string_view path);
  void add_query(std::string_view query, bool presigned);
  bool add_fields(const HttpRequest& request, std::string_view signed_headers);
  bool add_field(const HttpRequest& request, std::string_view name);

  std::string text_;
  std::string encoded_;
  std::vector<Parameter> parameters_;
  std::vector<size_t> segments_;
};

// Percent-encodes all but A-Z a-z 0-9 - _ . ~
void append_encoded(std::string_view bytes, std::string& out);
// Undoes percent-encoding and makes '+' a blank; a '%' without two digits stays as it is.
void append_decoded(std::string_view encoded, std::string& out);

// `sent` is in any case, `lower` in lower case.
bool same_field_name(std::string_view sent, std::string_view lower);

}  // namespace millrace::net
