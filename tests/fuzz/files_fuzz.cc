// Fuzzes the files that the server reads at its start: credentials, definitions, settings.
//
// The first byte chooses which; the rest is the file. Checked: no crash; what is refused says so in
// one line that begins with the file's name; a definition that is taken is written as a text that
// says the same.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "net/aws/credentials.h"
#include "tests/support/temporary_directory.h"
#include "tools/common/definitions.h"
#include "tools/daemon/settings.h"

namespace {

using namespace millrace;

void check_line(std::string_view line, std::string_view begin) {
  MR_ASSERT(line.starts_with(begin));
  MR_ASSERT(line.find('\n') == std::string_view::npos);
}

void read_credentials(std::string_view file) {
  std::string text(file);
  std::string why;
  const auto credentials = net::Credentials::parse(text, "keys.toml", "000000000000", &why);
  if (credentials == nullptr) return check_line(why, "keys.toml");
  for (const net::AccessKey& key : credentials->keys()) {
    MR_ASSERT(credentials->find(key.id) == &key);
    MR_ASSERT(key.user != nullptr);
    MR_ASSERT(credentials->find_user(key.user->arn) == key.user);
  }
}

void read_definitions(std::string_view file) {
  tools::Definitions read;
  std::string why;
  if (!tools::parse_definitions(file, "queues.toml", read, &why))
    return check_line(why, "queues.toml");
  std::string text;
  for (const tools::QueueDefinition& queue : read.queues)
    text += tools::definition_text(queue.name, queue.settings.attributes, queue.settings.tags);
  for (const tools::TopicDefinition& topic : read.topics)
    text += tools::topic_definition_text(topic);
  tools::Definitions again;
  MR_ASSERT(tools::parse_definitions(text, "again.toml", again, &why));
  MR_ASSERT(again.queues.size() == read.queues.size() && again.topics.size() == read.topics.size());
  for (size_t i = 0; i < read.queues.size(); ++i) {
    MR_ASSERT(again.queues[i].name == read.queues[i].name);
    MR_ASSERT(again.queues[i].settings.tags == read.queues[i].settings.tags);
  }
  for (size_t i = 0; i < read.topics.size(); ++i) {
    MR_ASSERT(again.topics[i].name == read.topics[i].name);
    MR_ASSERT(again.topics[i].settings.tags == read.topics[i].settings.tags);
    MR_ASSERT(again.topics[i].subscriptions.size() == read.topics[i].subscriptions.size());
  }
}

void read_settings(std::string_view file) {
  static const TemporaryDirectory directory;
  const std::string path = directory.path() + "/millrace.toml";
  std::ofstream(path, std::ios::binary) << file;
  std::string name = "millraced";
  std::string flag = "--config";
  std::string value = path;
  char* argv[] = {name.data(), flag.data(), value.data(), nullptr};
  // What it says goes to stderr, where a fuzzer's own words go.
  char* said = nullptr;
  size_t said_bytes = 0;
  FILE* const before = stderr;
  stderr = ::open_memstream(&said, &said_bytes);
  tools::Settings settings;
  int exit_code = 0;
  const bool good = tools::read_settings(3, argv, settings, exit_code);
  std::fclose(stderr);
  stderr = before;
  const std::string line(said, said_bytes);
  std::free(said);
  if (good) {
    MR_ASSERT(line.empty());
    MR_ASSERT(!settings.effective.empty());
    return;
  }
  MR_ASSERT(exit_code == tools::kExitUsage);
  MR_ASSERT(line.starts_with("millraced: ") && line.ends_with('\n'));
  MR_ASSERT(line.find('\n') == line.size() - 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view file(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      read_credentials(file);
      break;
    case 1:
      read_definitions(file);
      break;
    default:
      read_settings(file);
      break;
  }
  return 0;
}
