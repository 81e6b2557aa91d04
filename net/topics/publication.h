// Publication: one message as it is asked to be published, and whether it may be: the checks of
// SNS, with its texts, whatever protocol it came by.
//
// Threads: any; no state.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "millrace/topics.h"
#include "millrace/types.h"

namespace millrace::net::topics {

struct PublishedAttribute {
  std::string_view name;
  std::optional<std::string_view> type{};
  // As it was given; which of the two it must be is its type's to say.
  std::optional<std::string_view> text{};
  std::optional<std::string_view> bytes{};
};

// Views of what the asker holds.
struct Publication {
  std::optional<std::string_view> message{};
  std::optional<std::string_view> subject{};
  std::optional<std::string_view> structure{};  // "json": a text for each protocol
  std::optional<std::string_view> group{};
  std::optional<std::string_view> deduplication_id{};
  std::string_view trace_header{};  // AWSTraceHeader; empty: none
  std::string_view sender{};        // as property sender_id; empty: nobody in particular
  std::span<const PublishedAttribute> attributes{};
};

enum class PublishFault : uint8_t {
  none,
  parameter,  // InvalidParameter; the text is without its "Invalid parameter: "
  attribute,  // ParameterValueInvalid
  not_given,  // ValidationError: the text is the path of what must be given
};
struct [[nodiscard]] PublishRefusal {
  PublishFault fault = PublishFault::none;
  std::string text{};
  explicit operator bool() const { return fault != PublishFault::none; }
};

// Message, name, type and value of each attribute: what a topic's MaximumMessageSize is about.
size_t publication_bytes(const Publication& publication);

// What concerns a call as a whole, of a batch too: attributes, groups and deduplication ids.
PublishRefusal check_attributes(const Publication& publication);
PublishRefusal check_ids(const Publication& publication, const TopicAttributes& topic);
// What concerns the one message, without which a batch goes on: its text, its subject, its
// structure, its size.
PublishRefusal check_text(const Publication& publication, const TopicAttributes& topic);

// What each protocol's subscribers get.
class ProtocolTexts {
 public:
  // Of a publication without fault.
  explicit ProtocolTexts(const Publication& publication);
  std::string_view of(std::string_view protocol) const {
    const auto found = texts_.find(protocol);
    return found == texts_.end() ? std::string_view(default_) : std::string_view(found->second);
  }

 private:
  std::string default_;
  std::map<std::string, std::string, std::less<>> texts_;
};

// As the engine keeps them (millrace/properties.h): group and ids, then the attributes. `ids_end`
// is where the attributes begin.
std::string publication_properties(const Publication& publication, size_t* ids_end);

}  // namespace millrace::net::topics
