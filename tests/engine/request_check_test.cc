// What a run is refused with, in words.
#include "engine/request_check.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "millrace/message.h"
#include "millrace/properties.h"

namespace millrace::engine {
namespace {

struct Part {
  PropertyTag tag{};
  std::string name{};
  std::string type{};
  std::string value{};
};

// A good message, and behind it one with these properties.
std::vector<std::byte> run_of(const std::vector<Part>& parts, uint32_t delay_ms, bool fifo) {
  std::vector<std::byte> run;
  const auto append = [&run](const std::string& properties, uint32_t delay) {
    const std::string body = "body";
    const MessageHeader header{static_cast<uint32_t>(body.size()),
                               static_cast<uint32_t>(properties.size()), delay, 0};
    const size_t begin = run.size();
    run.resize(begin + message_stride(header));
    std::memcpy(run.data() + begin, &header, sizeof header);
    const std::string content = properties + body;
    std::memcpy(run.data() + begin + sizeof header, content.data(), content.size());
  };
  std::string good;
  if (fifo) {
    append_property(good, PropertyTag::group, as_bytes("g"));
    append_property(good, PropertyTag::deduplication_id, as_bytes("d"));
  }
  append(good, kDelayQueueDefault);
  std::string properties;
  for (const Part& part : parts)
    append_property(properties, part.tag, part.name, part.type, as_bytes(part.value));
  append(properties, delay_ms);
  return run;
}

TEST(RequestCheck, ARefusedMessageIsToldWhatIsWrongAndWhatIsAllowed) {
  const Part group{.tag = PropertyTag::group, .value = "g"};
  const Part id{.tag = PropertyTag::deduplication_id, .value = "d"};
  const auto attribute = [](std::string name, std::string type, std::string value) {
    return Part{PropertyTag::attribute, std::move(name), std::move(type), std::move(value)};
  };
  std::vector<Part> eleven;
  for (int i = 0; i < 11; ++i)
    eleven.push_back(attribute("a" + std::to_string(i), "String", "v"));
  const struct {
    const char* says;
    bool fifo;
    std::vector<Part> parts;
    uint32_t delay_ms = kDelayQueueDefault;
  } rows[] = {
      {"needs a message group id", true, {id}},
      {"needs a deduplication id", true, {group}},
      {"takes no deduplication id", false, {id}},
      {"the message group id is 'a b'; allowed are 1 to 128 letters",
       true,
       {{PropertyTag::group, "", "", "a b"}, id}},
      {"the message group id is ''", false, {{PropertyTag::group, "", "", ""}}},
      {"the deduplication id is '?'",
       true,
       {group, {PropertyTag::deduplication_id, "", "", "\x7F"}}},
      {"property 1 is there twice", true, {group, group, id}},
      {"at most 10 attributes", false, eleven},
      {"an attribute is named 'AWS.x'; allowed are", false, {attribute("AWS.x", "String", "v")}},
      {"an attribute is named 'a..b'", false, {attribute("a..b", "String", "v")}},
      {"attribute 'x' is of type 'Text'; allowed are String", false, {attribute("x", "Text", "v")}},
      {"attribute 'x' has no value", false, {attribute("x", "String", "")}},
      {"attribute 'x' is there twice",
       false,
       {attribute("x", "String", "v"), attribute("x", "Number", "1")}},
      {"the trace header has 5000 bytes; allowed are 1 to 4096",
       false,
       {{PropertyTag::trace_header, "", "", std::string(5000, 't')}}},
      {"the sender id has 300 bytes; allowed are up to 256",
       false,
       {{PropertyTag::sender_id, "", "", std::string(300, 's')}}},
      {"have no tag 129", false, {{PropertyTag::moved, "", "", std::string(24, 'm')}}},
      {"have no tag 9", false, {{PropertyTag{9}, "", "", "v"}}},
      {"only attributes have a name", false, {{PropertyTag::group, "n", "", "g"}}},
      {"a FIFO queue takes no delay of one message", true, {group, id}, 1000},
      {"delay_ms is 2592000001; allowed are up to 2592000000", false, {}, 2'592'000'001},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.says);
    QueueAttributes queue;
    queue.fifo = row.fifo;
    const std::vector<std::byte> run = run_of(row.parts, row.delay_ms, row.fifo);
    const RunFault fault = check_run(run, 2, queue);
    EXPECT_EQ(fault.error, Errc::invalid_argument);
    EXPECT_EQ(fault.bad_index, 1u);
    const std::string text = fault_text(run, fault.bad_index, queue);
    EXPECT_NE(text.find(row.says), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace millrace::engine
