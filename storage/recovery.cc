#include "storage/recovery.h"

#include <algorithm>
#include <bit>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"

namespace millrace::storage {
namespace {

// Positions that no log comes to; there are as many behind them for the segments to come.
constexpr uint64_t kSequenceBytesMax = uint64_t{1} << 62;

// Sequences skip what a recovery cut off, not more; each one skipped takes a word of memory.
constexpr uint64_t kSequencesSkippedMax = 1u << 16;

// A stretch of one segment. Holes end behind the next commit mark found, or where the segment does.
struct Piece {
  uint64_t begin = 0;  // positions
  uint64_t end = 0;
  bool hole = false;
  std::optional<uint64_t> chain_before;
  uint64_t chain_after = 0;
  std::optional<FoundMark> last_mark;  // the newest in the piece
  int64_t server_time_ms = 0;          // newest of its marks
};

struct ScannedSegment {
  size_t file = 0;
  uint64_t limit = 0;  // the successor's previous_end, or the end of the file
  std::vector<Piece> pieces;
};

class Planner {
 public:
  Planner(const std::vector<SegmentFile>& files, uint16_t log_id) : files_(files), id_(log_id) {}

  RecoveryPlan run(uint64_t durable_hint) {
    if (!sort_headers() || !follow_chain(UINT64_MAX)) return std::move(plan_);
    durable_ = durable_hint;
    scan_all();
    // A link is missing of which nothing was ever durable: its header did not reach the disk, those
    // of later segments did. That is a torn tail that spans segments (only without `commit`).
    while (missing_ != 0 && durable_ <= missing_ * plan_.segment_bytes + kSegmentDataOffset) {
      for (const ScannedSegment& segment : chain_)
        plan_.cut.push_back(segment.file);
      chain_.clear();
      if (!follow_chain(std::exchange(missing_, 0))) return std::move(plan_);
      scan_all();
    }
    if (chain_.empty()) {
      if (judge_unreadable_headers()) collect();
      return std::move(plan_);
    }
    const uint64_t newest = header(chain_.back()).sequence;
    if (durable_ > 0 && (durable_ - 1) / plan_.segment_bytes > newest) {
      plan_.missing_sequence = (durable_ - 1) / plan_.segment_bytes;
      refuse(fmt::format("segment {} is missing: the log was durable up to position {}{}",
                         plan_.missing_sequence, durable_, suspects()));
      return std::move(plan_);
    }
    find_end();
    if (!judge_newest()) return std::move(plan_);
    find_head();
    if (plan_.error != Errc::ok || !judge_unreadable_headers()) return std::move(plan_);
    collect();
    return std::move(plan_);
  }

 private:
  const SegmentHeader& header(const ScannedSegment& s) const {
    return files_[s.file].reading.header;
  }
  uint64_t data_begin(const ScannedSegment& s) const {
    return files_[s.file].view().start + kSegmentDataOffset;
  }
  void refuse(std::string message, Errc error = Errc::damaged) {
    plan_.error = error;
    plan_.message = std::move(message);
  }

  bool sort_headers() {
    for (size_t i = 0; i < files_.size(); ++i) {
      const SegmentFile& file = files_[i];
      const SegmentHeader& h = file.reading.header;
      if (file.reading.state == HeaderState::too_new) {
        refuse(file.name + " was written by a newer version", Errc::format_too_new);
        return false;
      }
      if (file.reading.state != HeaderState::valid || h.log_id != id_) continue;
      if (h.sequence > kSequenceBytesMax / h.segment_bytes) {
        refuse(fmt::format("{} names the impossible sequence {}", file.name, h.sequence));
        return false;
      }
      if (plan_.segment_bytes != 0 && h.segment_bytes != plan_.segment_bytes) {
        refuse(file.name + " has another segment size than the rest");
        return false;
      }
      plan_.segment_bytes = h.segment_bytes;
      plan_.newest_sequence = std::max(plan_.newest_sequence, h.sequence);
      const auto [known, is_new] = by_sequence_.emplace(h.sequence, i);
      if (!is_new) {
        refuse(fmt::format("{} and {} both are segment {}", files_[known->second].name, file.name,
                           h.sequence));
        const bool newer = h.created_ms > files_[known->second].reading.header.created_ms;
        plan_.conflict = newer ? known->second : i;
        return false;
      }
    }
    return true;
  }

  // Fills chain_ from the newest segment before `below`.
  bool follow_chain(uint64_t below) {
    auto newest = std::make_reverse_iterator(by_sequence_.lower_bound(below));
    // A segment that announces a successor is committed by the successor only.
    while (newest != by_sequence_.rend() &&
           (files_[newest->second].reading.header.flags & kSegmentContinues) != 0)
      ++newest;
    if (newest == by_sequence_.rend()) return true;
    uint64_t sequence = newest->first;
    uint64_t limit = (sequence + 1) * plan_.segment_bytes;
    while (true) {
      const auto at = by_sequence_.find(sequence);
      if (at == by_sequence_.end()) {
        missing_ = sequence;
        break;
      }
      const SegmentHeader& h = files_[at->second].reading.header;
      chain_.push_back({at->second, limit, {}});
      if (h.previous_sequence == 0) break;
      const uint64_t begin = h.previous_sequence * plan_.segment_bytes + kSegmentDataOffset;
      if (h.previous_sequence >= sequence ||
          sequence - h.previous_sequence > kSequencesSkippedMax || h.previous_end < begin ||
          h.previous_end > begin - kSegmentDataOffset + plan_.segment_bytes ||
          h.previous_end % kRecordAlignment != 0) {
        refuse(files_[at->second].name + " names an impossible predecessor");
        return false;
      }
      sequence = h.previous_sequence;
      limit = h.previous_end;
    }
    std::ranges::reverse(chain_);
    return true;
  }

  void scan_all() {
    std::optional<uint64_t> chain;
    for (ScannedSegment& segment : chain_) {
      const SegmentHeader& h = header(segment);
      durable_ = std::max(durable_, h.durable);
      if (!chain) chain = h.previous_chain;
      scan(segment, chain);
    }
  }

  void note(const FoundMark& found, Piece& piece) {
    piece.last_mark = found;
    // A time that never comes is none: time goes on from the newest.
    if (found.mark.server_time_ms < kServerTimeMsEnd)
      piece.server_time_ms = std::max(piece.server_time_ms, found.mark.server_time_ms);
    durable_ = std::max(durable_, found.mark.durable);
  }

  void scan(ScannedSegment& segment, std::optional<uint64_t>& chain) {
    const SegmentView view = files_[segment.file].view();
    const uint64_t limit = segment.limit - view.start;
    uint64_t at = kSegmentDataOffset;
    while (at < limit) {
      Piece run{view.start + at, 0, false, chain, 0, {}, 0};
      while (at < limit) {
        const auto found = reader_.read(view, at, limit, chain ? &*chain : nullptr);
        if (!found) break;
        note(*found, run);
        chain = found->mark.chain;
        at = found->end();
      }
      run.end = view.start + at;
      if (run.end > run.begin) {
        run.chain_after = *chain;
        segment.pieces.push_back(run);
      }
      if (at >= limit) return;

      Piece hole{view.start + at, segment.limit, true, chain, 0, {}, 0};
      chain.reset();
      const auto found = find_mark(view, at, limit);
      if (found) {
        const uint64_t begin = found->batch_begin();
        if (begin > at && reader_.read(view, begin, limit, nullptr)) {
          hole.end = view.start + begin;  // this batch is whole; the loop reads it
        } else {
          note(*found, hole);
          hole.end = view.start + found->end();
          chain = found->mark.chain;
        }
      }
      at = hole.end - view.start;
      segment.pieces.push_back(hole);
    }
  }

  // Sets end_segment_, end_ and each surviving segment's damage.
  void find_end() {
    damage_.resize(chain_.size());
    surviving_end_.resize(chain_.size());
    bool torn = false;
    for (size_t i = 0; i < chain_.size() && !torn; ++i) {
      const ScannedSegment& segment = chain_[i];
      const SegmentView view = files_[segment.file].view();
      // An empty segment takes no part: its header may be all that was ever written of it.
      uint64_t end = data_begin(segment);
      for (const Piece& piece : segment.pieces) {
        if (piece.hole) {
          if (piece.begin >= durable_) {
            torn = true;
            plan_.torn_bytes = torn_bytes(i, piece);
            break;
          }
          const uint64_t hole_end = std::min(piece.end, durable_);
          for (const ByteRange& range :
               unreadable_ranges(view, piece.begin - view.start, hole_end - view.start))
            damage_[i].push_back(range);
          end = hole_end;
          if (piece.last_mark && piece.end == hole_end) survive(i, piece, end);
          chain_at_end_ = piece.last_mark ? piece.last_mark->mark.chain : 0;
          if (hole_end < piece.end) {
            torn = true;
            break;
          }
          continue;
        }
        end = piece.end;
        survive(i, piece, end);
        chain_at_end_ = piece.chain_after;
        if (piece.begin <= durable_ && durable_ < piece.end) settle_durable(view, piece);
      }
      surviving_end_[i] = end;
      if (end > data_begin(segment)) {
        end_segment_ = i + 1;
        plan_.end = end;
        plan_.end_chain = chain_at_end_;
        if (durable_ >= end) plan_.durable_chain = chain_at_end_;
      }
    }
    if (end_segment_ == 0) plan_.end = data_begin(chain_.front());
    plan_.durable = std::clamp(durable_, data_begin(chain_.front()), plan_.end);
    find_clean_mark(torn);
  }

  void survive(size_t i, const Piece& piece, uint64_t end) {
    plan_.last_server_time.value = std::max(plan_.last_server_time.value, piece.server_time_ms);
    last_mark_ = *piece.last_mark;
    last_mark_end_ = end;
    plan_.head_sequence = std::max({plan_.head_sequence, piece.last_mark->mark.head_sequence,
                                    header(chain_[i]).head_sequence});
  }

  // What is durable ends with a batch. A mark that says anything else is from nobody's log; then
  // the batch before counts.
  void settle_durable(const SegmentView& view, const Piece& piece) {
    uint64_t end = piece.begin;
    plan_.durable_chain = piece.chain_before.value_or(0);
    for (uint64_t at = piece.begin; at < durable_;) {
      const RecordExtent extent = extent_at(view, at - view.start);
      at += extent.bytes;
      if (extent.kind != kKindCommitMark || at > durable_) continue;
      end = at;
      plan_.durable_chain = mark_at(view, at - extent.bytes - view.start, UINT64_MAX)->mark.chain;
    }
    durable_ = end;
  }

  // What was written behind the end: records that follow at once, and all up to the last mark.
  uint64_t torn_bytes(size_t index, const Piece& hole) {
    const ScannedSegment& segment = chain_[index];
    const SegmentView view = files_[segment.file].view();
    uint64_t last = hole.begin;
    while (const auto record = record_at(view, last - view.start, segment.limit - view.start))
      last = record->end().value;
    for (const Piece& piece : segment.pieces)
      if (piece.begin >= hole.begin && (piece.last_mark || !piece.hole))
        last = std::max(last, piece.end);
    uint64_t bytes = last - hole.begin;
    for (size_t i = index + 1; i < chain_.size(); ++i)
      for (const Piece& piece : chain_[i].pieces)
        if (!piece.hole || piece.last_mark) bytes += piece.end - piece.begin;
    return bytes;
  }

  // The log was closed if its very last batch says so, nothing readable follows, and the segment
  // had durable data before, so that its header is known to be on stable storage.
  void find_clean_mark(bool torn) {
    if (end_segment_ != chain_.size() || !last_mark_ || last_mark_end_ != plan_.end) return;
    if ((last_mark_->mark.flags & kMarkCleanShutdown) == 0 || plan_.torn_bytes > 0) return;
    const ScannedSegment& last = chain_.back();
    const uint64_t mark = plan_.end - kMarkRecordBytes;
    if (torn && last.pieces.back().end != last.limit) return;
    if (last_mark_->mark.durable != mark || mark <= data_begin(last)) return;
    if (files_[last.file].bytes.size() < plan_.segment_bytes) return;
    if (plan_.end + kMarkRecordBytes > last.limit) return;  // no room to say that it is open again
    plan_.clean_mark = mark;
  }

  // The next segment is numbered after all there are, and follows the last one that holds something
  // durable: a recovery writes what lies behind that anew.
  bool judge_newest() {
    const auto last = std::ranges::find_if(
        chain_.rbegin(), chain_.rend(),
        [&](const ScannedSegment& segment) { return data_begin(segment) < plan_.durable; });
    if (last == chain_.rend()) return true;
    if (plan_.newest_sequence + 1 - header(*last).sequence <= kSequencesSkippedMax) return true;
    plan_.conflict = by_sequence_.at(plan_.newest_sequence);
    refuse(fmt::format("{} names the impossible sequence {}", files_[*plan_.conflict].name,
                       plan_.newest_sequence));
    return false;
  }

  void find_head() {
    const uint64_t oldest = header(chain_.front()).sequence;
    plan_.head_sequence = std::max(plan_.head_sequence, header(chain_.front()).head_sequence);
    if (missing_ != 0 && plan_.head_sequence <= missing_) {
      plan_.missing_sequence = missing_;
      refuse(fmt::format("segment {} of the log is missing{}", missing_, suspects()));
      return;
    }
    if (missing_ == 0 && plan_.head_sequence < oldest) plan_.head_sequence = oldest;
  }

  // Zeroed headers before data: a rotation whose header never reached the disk, or damage.
  static bool zeroed(const SegmentFile& file) {
    return file.reading.state == HeaderState::blank &&
           file.bytes.size() > kSegmentDataOffset + sizeof(RecordHeader) &&
           extent_at({file.bytes}, kSegmentDataOffset).bytes != 0;
  }

  // The files that may be the segment that is missing: what is damaged, else what looks unused.
  std::string suspects() const {
    std::string damaged;
    std::string unused;
    for (const SegmentFile& file : files_) {
      if (file.reading.state == HeaderState::bad || zeroed(file)) {
        damaged += fmt::format("; {} has no readable header", file.name);
      } else if (file.reading.state == HeaderState::blank) {
        const bool whole = file.bytes.size() >= plan_.segment_bytes;
        (whole ? unused : damaged) +=
            fmt::format("; {} {}", file.name, whole ? "is all zeros" : "is cut short");
      }
    }
    return damaged.empty() ? unused : damaged;
  }

  // A file whose header is gone in both copies may be set aside if nothing in it was acknowledged:
  // no mark in it, newer than what is known, says that the file had durable data.
  bool judge_unreadable_headers() {
    for (size_t i = 0; i < files_.size(); ++i) {
      const SegmentFile& file = files_[i];
      const bool bad = file.reading.state == HeaderState::bad;
      if (!bad && !zeroed(file)) continue;
      if (holds_newer_durable_data(file)) {
        refuse(file.name + ": both copies of the header are unreadable");
        return false;
      }
      if (bad) plan_.unread.push_back(i);
    }
    return true;
  }

  uint64_t segment_bytes_of(const SegmentFile& file) const {
    return plan_.segment_bytes != 0 ? plan_.segment_bytes : std::bit_ceil(file.bytes.size());
  }

  bool holds_newer_durable_data(const SegmentFile& file) const {
    for (uint64_t at = kSegmentDataOffset; at + kMarkRecordBytes <= file.bytes.size();
         at += kRecordAlignment) {
      const auto found = unaided_mark_at(file.bytes, at, segment_bytes_of(file));
      if (!found || found->mark.sequence <= plan_.newest_sequence) continue;
      const uint64_t begin = found->mark.sequence * segment_bytes_of(file) + kSegmentDataOffset;
      if (found->mark.durable > begin) return true;
    }
    return false;
  }

  void collect() {
    for (const auto& [sequence, file] : by_sequence_)
      if (std::ranges::none_of(chain_,
                               [&, file = file](const auto& s) { return s.file == file; }) &&
          !std::ranges::count(plan_.cut, file))
        plan_.dead.push_back(file);
    if (!chain_.empty()) plan_.newest = chain_.back().file;
    for (size_t i = 0; i < chain_.size(); ++i) {
      if (i >= end_segment_) {
        plan_.cut.push_back(chain_[i].file);
      } else if (header(chain_[i]).sequence >= plan_.head_sequence) {
        plan_.segments.push_back({chain_[i].file, surviving_end_[i], std::move(damage_[i])});
      } else {
        plan_.freed.push_back(chain_[i].file);
      }
    }
  }

  const std::vector<SegmentFile>& files_;
  const uint16_t id_;
  RecoveryPlan plan_;
  std::map<uint64_t, size_t> by_sequence_;
  std::vector<ScannedSegment> chain_;
  uint64_t missing_ = 0;
  uint64_t durable_ = 0;
  BatchReader reader_;
  std::vector<std::vector<ByteRange>> damage_;
  std::vector<uint64_t> surviving_end_;
  size_t end_segment_ = 0;  // segments of the chain that hold surviving bytes: [0, this)
  uint64_t chain_at_end_ = 0;
  std::optional<FoundMark> last_mark_;
  uint64_t last_mark_end_ = 0;
};

}  // namespace

uint64_t durable_hint(const std::optional<Checkpoint>& checkpoint,
                      const std::vector<SegmentFile>& files) {
  if (!checkpoint || checkpoint->position == 0) return 0;
  for (const SegmentFile& file : files) {
    const SegmentHeader& h = file.reading.header;
    if (file.reading.state == HeaderState::valid && h.generation == checkpoint->generation &&
        h.sequence == (checkpoint->position - 1) / h.segment_bytes)
      return checkpoint->position;
  }
  return 0;
}

RecoveryPlan plan_recovery(const std::vector<SegmentFile>& files, uint16_t log_id,
                           uint64_t durable_hint) {
  return Planner(files, log_id).run(durable_hint);
}

}  // namespace millrace::storage
