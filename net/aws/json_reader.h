// JsonReader: the body of a JSON request, by its action's shape.
//
// simdjson finds the structure and checks UTF-8 at gigabytes a second; its on-demand half walks the
// members, each once, straight into the typed input: there is no tree. Strings stay where they lie
// and are decoded there, so the body is changed. Every value is looked at, asked for or not: what
// is not JSON to its end is refused whole.
//
// Refused, as SQS does, with SerializationException: what is not JSON, a value of the wrong type, a
// member given twice, more than 32 levels or kInputMembersMax members. An integer that is none
// ("30.5") is an InvalidParameterValue. Unknown members are ignored, and null is as if not given.
//
// Threads: shard-local.   Memory: simdjson's index, 4 bytes for each of the largest body so far.
#pragma once

#include <memory>

#include "net/aws/error.h"
#include "net/aws/shape.h"
#include "net/http/front.h"

namespace millrace::net {

class JsonReader {
 public:
  JsonReader();
  ~JsonReader();

  // kHttpBodyPadding readable bytes follow `body`. `input` is made already.
  AwsError read(MutableBytes body, const Shape& shape, void* input, Arena& arena);

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace millrace::net
