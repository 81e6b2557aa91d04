// The manifest of a copy: what is written is read, and nothing else is.
#include "tools/common/copy_manifest.h"

#include <gtest/gtest.h>

#include "net/aws/sha256.h"

namespace millrace::tools {
namespace {

CopyManifest example() {
  const std::string sha256(64, 'a');
  return {.made_by = "millrace 0.1.0",
          .server_time_ms = 1'700'000'000'000,
          .logs = {{.directory = "catalog",
                    .log_id = 4096,
                    .head = 270'336,
                    .end = 300'000,
                    .segment_bytes = 262'144,
                    .files = {{"00000001.segment", 8'192, sha256}}},
                   {.directory = "shard-0",
                    .log_id = 0,
                    .head = 8'396'800,
                    .end = 12'590'000,
                    .segment_bytes = 4'194'304,
                    .damaged_bytes = 24,
                    .files = {{"00000001.segment", 4'194'304, sha256},
                              {"00000002.segment", 7'088, sha256}}},
                   {.directory = "shard-1",
                    .log_id = 1,
                    .head = 8'396'800,
                    .end = 8'396'880,
                    .segment_bytes = 4'194'304,
                    .files = {{"00000001.segment", 8'272, sha256}}}}};
}

std::string signed_anew(std::string lines) {
  lines.resize(lines.rfind("sha256 "));
  std::string hex;
  for (const uint8_t byte : net::Sha256().of(lines))
    hex += fmt::format("{:02x}", byte);
  return lines + "sha256 " + hex + "\n";
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(CopyManifest, ReadsWhatItWrote) {
  const CopyManifest written = example();
  EXPECT_EQ(written.files(), 4u);
  EXPECT_EQ(written.bytes(), 8'192u + 4'194'304u + 7'088u + 8'272u);
  CopyManifest read;
  std::string why;
  ASSERT_TRUE(decode_manifest(encode_manifest(written), &read, &why)) << why;
  EXPECT_EQ(encode_manifest(read), encode_manifest(written));
  EXPECT_EQ(read.logs[1].damaged_bytes, 24u);
}

TEST(CopyManifest, ChangedInAnyByteItIsRefused) {
  const std::string text = encode_manifest(example());
  CopyManifest read;
  for (size_t i = 0; i < text.size(); ++i) {
    std::string why;
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(decode_manifest(changed, &read, &why)) << i;
    EXPECT_FALSE(why.empty()) << i;
    EXPECT_FALSE(decode_manifest(text.substr(0, i), &read, &why)) << i;
    EXPECT_FALSE(decode_manifest(text.substr(i + 1), &read, &why)) << i;
  }
}

// Whoever wrote it: nothing in it leads outside, or is taken for another thing.
TEST(CopyManifest, RefusesWhatNoBackupWrites) {
  const std::string text = encode_manifest(example());
  const struct {
    const char* from;
    const char* to;
  } rows[] = {
      {"log catalog 4096", "log shard-0 0"},
      {"log shard-0 0", "log shard-1 1"},
      {"log shard-1 1", "log ../evil 1"},
      {"log shard-1 1", "log shard-1 2"},
      {"file 00000001.segment", "file 00000002.segment"},
      {"file 00000002.segment 7088", "file ../../secrets 7088"},
      {"file 00000002.segment 7088", "file 00000002.segment 4194305"},
      {"file 00000002.segment 7088", "file 00000002.segment -1"},
      {"file 00000002.segment 7088", "file 00000002.segment"},
      {"12590000 4194304 24", "12590000 1024 24"},
      {"12590000 4194304 24", "12590000 99999999999 24"},
      {"12590000 4194304 24", "12590000 4194304 x"},
      {" aaaa", " Aaaa"},
      {"server-time-ms 1700000000000", "server-time-ms"},
      {"server-time-ms", "unknown"},
      {"millrace-copy 1", "millrace-copy x"},
  };
  CopyManifest read;
  std::string why;
  ASSERT_TRUE(decode_manifest(signed_anew(text), &read, &why)) << why;
  for (const auto& row : rows)
    EXPECT_FALSE(decode_manifest(signed_anew(replaced(text, row.from, row.to)), &read, &why))
        << row.from << " -> " << row.to;
  EXPECT_FALSE(decode_manifest(signed_anew(text.substr(0, text.find("log shard-0")) + "sha256 "),
                               &read, &why));
  EXPECT_FALSE(decode_manifest(signed_anew(replaced(text, "copy 1", "copy 2")), &read, &why));
  EXPECT_NE(why.find("version 2"), std::string::npos) << why;
}

}  // namespace
}  // namespace millrace::tools
