// What SQS's JSON protocol says of a load's messages: the bodies of requests, and what is read of
// their answers.
//
// A body of SQS is text, so a Stamp's 24 bytes are written as 48 letters, a to p, and what follows
// the Stamp as it is.
// Threads: one.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/types.h"
#include "tools/bench/sequence_check.h"

namespace millrace::tools {

inline constexpr uint32_t kStampLetters = 2 * sizeof(Stamp);

// `run` holds `count` messages as the binary protocol carries them (millrace/message.h), each body
// a Stamp and filling. With `alone`, the one message of a SendMessage; else a SendMessageBatch.
void append_sends(std::string& out, std::string_view queue_url, Bytes run, uint32_t count,
                  uint32_t size, bool alone);

// `handles`: of a DeleteMessage if `alone`, else of a DeleteMessageBatch.
void append_deletes(std::string& out, std::string_view queue_url,
                    std::span<const std::string_view> handles, bool alone);

// How many entries a batch's answer says have failed.
uint32_t failed_entries(std::string_view answer);

// The messages of a ReceiveMessage's answer.
class ReceivedTexts {
 public:
  struct Message {
    std::string_view handle;
    Bytes stamp;  // empty: it is no message of a load
  };

  ReceivedTexts();
  ~ReceivedTexts();
  // False if the answer is not what it should be. Views last until the next call, and as long as
  // `answer`, whose capacity may grow.
  bool read(std::string& answer);
  std::span<const Message> messages() const { return messages_; }

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
  std::vector<Message> messages_;
  std::array<std::array<std::byte, sizeof(Stamp)>, 10> stamps_{};
};

}  // namespace millrace::tools
