// QueryReader: the parameters of a request in the Query protocol, by its action's shape.
//
//   Action=SendMessage&MessageBody=hello&MessageAttribute.1.Name=color&
//   MessageAttribute.1.Value.StringValue=blue
//
// They come from the query of the target and from a form in the body. Lists and maps are flattened:
// numbers from 1, with gaps, in any order; in some services with a word before the number
// (Tags.member.1.Key, Attributes.entry.1.key). Unknown parameters are ignored.
//
// Refused with MalformedInput: an escape that is none, what is not UTF-8 or has a NUL in its name,
// more than kInputMembersMax parameters, a number past it, and a parameter given twice.
//
// Threads: shard-local.   Memory: the views of the parameters of one request.
#pragma once

#include <string_view>
#include <vector>

#include "net/aws/error.h"
#include "net/aws/shape.h"
#include "net/http/front.h"

namespace millrace::net {

class QueryReader {
 public:
  // Takes the parameters apart; `form` is decoded where it lies, `query` in the arena. Views live
  // as long as both.
  AwsError parse(std::string_view query, MutableBytes form, Arena& arena);
  // The value of a parameter; empty if it is not given.
  std::string_view find(std::string_view name) const;
  // `input` is made already.
  AwsError read(const Shape& shape, void* input, Arena& arena) const;

 private:
  AwsError parse_text(char* text, size_t size);
  std::vector<Pair> parameters_;
};

}  // namespace millrace::net
