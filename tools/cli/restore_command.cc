// millrace restore: a copy (millrace backup) is checked, and becomes a data directory.
//
// It is made beside its place and opened there once by the engine, which reads all of it and passes
// over the places in queues that the copied broker may have given out since
// (BrokerOptions::restored). Only then it gets its name: a restore that was interrupted leaves
// nothing that a server would take.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <optional>
#include <unistd.h>

#include "base/log_line.h"
#include "millrace/engine.h"
#include "tools/cli/command.h"
#include "tools/cli/copy_files.h"
#include "tools/common/quantity.h"

namespace millrace::tools {
namespace {

struct RestoreOptions {
  std::string copy;
  std::optional<std::string> to;
  bool check = false;
};

// Empty, or what went wrong.
std::string lay_out(CopyFiles& copy, storage::Disk& to) {
  for (const CopiedLog& log : copy.manifest().logs) {
    if (const Status made = to.make_directory(log.directory); !made)
      return fmt::format("{}: {}", log.directory, errc_text(made.error()));
    for (const CopiedFile& file : log.files) {
      const std::string path = log.directory + "/" + file.name;
      const auto source = copy.disk().open(path, storage::OpenMode::read_only);
      if (!source) return fmt::format("{}: {}", path, errc_text(source.error()));
      const auto target = to.open(path, storage::OpenMode::create_new);
      if (!target) return fmt::format("{}: {}", path, errc_text(target.error()));
      Status status = to.reserve(*target, log.segment_bytes);
      Result<std::string> sha256 = std::string();
      if (status)
        sha256 = hash_file(copy.disk(), *source, file.bytes, [&](uint64_t offset, Bytes piece) {
          return to.write(*target, offset, {&piece, 1});
        });
      if (status && !sha256) status = fail(sha256.error());
      if (status) status = to.sync(*target);
      to.close(*target);
      copy.disk().close(*source);
      if (!status) return fmt::format("{}: {}", path, errc_text(status.error()));
      if (*sha256 != file.sha256) return fmt::format("{} changed while it was read", path);
    }
    if (const Status synced = to.sync_directory(log.directory); !synced)
      return fmt::format("{}: {}", log.directory, errc_text(synced.error()));
  }
  if (const Status synced = to.sync_directory(""); !synced)
    return std::string(errc_text(synced.error()));
  return {};
}

std::string open_once(const std::string& path) {
  std::string message;
  auto broker = Broker::open({.data_directory = path, .restored = true}, &message);
  if (!broker) return message;
  const Status stopped = (*broker)->stop();
  return stopped ? std::string() : std::string(errc_text(stopped.error()));
}

std::string give_name(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) return std::strerror(errno);
  std::string parent = std::filesystem::path(to).parent_path().string();
  if (parent.empty()) parent = ".";
  const int fd = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = fd >= 0 && ::fsync(fd) == 0;
  if (fd >= 0) ::close(fd);
  return synced ? std::string() : std::strerror(errno);
}

int restore(Context& context, const RestoreOptions& options) {
  if (options.check == options.to.has_value())
    return misuse(options.check ? "--check makes no directory: DIR does not go with it"
                                : "a DIR is wanted, or --check");
  std::string to = options.to.value_or("");
  while (to.size() > 1 && to.back() == '/')
    to.pop_back();
  const std::string unfinished = to + ".restoring";
  if (!options.check) {
    if (to.empty()) return misuse("DIR is empty");
    if (!is_free_for_a_folder(to, "a data directory")) return kRefused;
    if (!is_free_for_a_folder(unfinished, "what a restore has not finished")) return kRefused;
  }
  CopyFiles copy;
  if (!copy.open(options.copy) || !copy.check()) return kRefused;
  if (!options.check) {
    const auto failed = [&](std::string_view what) {
      return refuse(fmt::format("'{}': {}; what is there is not finished", unfinished, what));
    };
    auto disk = storage::RealDisk::open_directory(unfinished, {});
    if (!disk) return failed(errc_text(disk.error()));
    if (const std::string wrong = lay_out(copy, **disk); !wrong.empty()) return failed(wrong);
    disk->reset();
    base::set_log(base::LogLevel::error, base::LogFormat::text);
    if (const std::string wrong = open_once(unfinished); !wrong.empty()) return failed(wrong);
    if (const std::string wrong = give_name(unfinished, to); !wrong.empty()) return failed(wrong);
  }
  const CopyManifest& manifest = copy.manifest();
  const size_t shards = manifest.logs.size() - 1;
  if (context.json) {
    Json json{{"copy", options.copy},
              {"shards", shards},
              {"files", manifest.files()},
              {"bytes", manifest.bytes()},
              {"records", copy.records()},
              {"damaged_bytes", copy.damaged_bytes()},
              {"server_time_ms", manifest.server_time_ms},
              {"newest_ms", copy.newest().value}};
    if (!options.check) json["data"] = to;
    print_json(json);
    return kDone;
  }
  print_text(fmt::format(
      "'{}': {} {}, {} in {} files, {} records, the newest of {}{}{}\n", options.copy, shards,
      shards == 1 ? "shard" : "shards", format_size(manifest.bytes()), manifest.files(),
      format_count(copy.records()), base::utc_text(copy.newest().value),
      copy.damaged_bytes() == 0 ? ""
                                : fmt::format("; {} were damaged before it was copied",
                                              format_size(copy.damaged_bytes())),
      options.check ? "; nothing is wrong" : fmt::format("; now in '{}'", to)));
  return kDone;
}

}  // namespace

void add_restore_command(Parser& parser, Context& context) {
  auto options = std::make_shared<RestoreOptions>();
  parser
      .command("restore", "check a copy that backup made, and make a data directory of it",
               [&context, options] { return restore(context, *options); })
      .argument("COPY", options->copy, "the directory that backup wrote")
      .optional_argument("DIR", options->to,
                         "the new data directory; nothing or an empty one is there")
      .flag("--check", options->check, "only say whether the copy is whole, and what is in it");
}

}  // namespace millrace::tools
