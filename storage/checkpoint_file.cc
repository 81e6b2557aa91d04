#include "storage/checkpoint_file.h"

#include <cstddef>
#include <cstring>

#include "base/hash.h"

namespace millrace::storage {

std::vector<std::byte> encode_checkpoint(uint16_t log_id, uint64_t position, uint64_t generation,
                                         const std::vector<std::byte>& state) {
  CheckpointHeader header{kCheckpointMagic,
                          kFormatVersion,
                          log_id,
                          0,
                          position,
                          generation,
                          state.size(),
                          base::hash64(Bytes(state), generation),
                          0};
  header.header_checksum =
      base::hash64(&header, offsetof(CheckpointHeader, header_checksum), kHeaderSeed);
  std::vector<std::byte> content(sizeof header + state.size());
  std::memcpy(content.data(), &header, sizeof header);
  if (!state.empty()) std::memcpy(content.data() + sizeof header, state.data(), state.size());
  return content;
}

std::optional<Checkpoint> read_checkpoint(Disk& disk, const std::string& directory,
                                          uint16_t log_id) {
  const Result<FileId> file = disk.open(directory + "/" + kCheckpointFile, OpenMode::read_only);
  if (!file) return std::nullopt;
  struct Closer {
    Disk& disk;
    FileId file;
    ~Closer() { disk.close(file); }
  } closer{disk, *file};

  const Result<uint64_t> size = disk.size(*file);
  CheckpointHeader header;
  const MutableBytes head = std::as_writable_bytes(std::span(&header, 1));
  const Result<uint64_t> got = disk.read(*file, 0, head);
  if (!size || !got || *got != sizeof header) return std::nullopt;
  const uint64_t checksum =
      base::hash64(&header, offsetof(CheckpointHeader, header_checksum), kHeaderSeed);
  if (header.magic != kCheckpointMagic || header.version < kFormatVersionOldest ||
      header.version > kFormatVersion || header.log_id != log_id || header.reserved != 0 ||
      header.position % kRecordAlignment != 0 || header.header_checksum != checksum ||
      header.length != *size - sizeof header)
    return std::nullopt;

  Checkpoint checkpoint{header.position, header.generation, {}};
  checkpoint.state.resize(header.length);
  const Result<uint64_t> body = disk.read(*file, sizeof header, checkpoint.state);
  if (!body || *body != header.length ||
      base::hash64(Bytes(checkpoint.state), header.generation) != header.state_checksum)
    return std::nullopt;
  return checkpoint;
}

}  // namespace millrace::storage
