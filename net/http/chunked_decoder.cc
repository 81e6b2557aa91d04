#include "net/http/chunked_decoder.h"

#include <string_view>

#include "base/assert.h"

namespace millrace::net {
namespace {

constexpr uint64_t kExtraBytesMax = 4096;

ChunkedDecoder& decoder_of(llhttp_t* llhttp) {
  return *static_cast<ChunkedDecoder*>(llhttp->data);
}

}  // namespace

ChunkedDecoder::ChunkedDecoder(InputBuffer& body, uint64_t bytes_max)
    : body_(body), bytes_max_(bytes_max) {
  static const llhttp_settings_t settings = [] {
    llhttp_settings_t made;
    llhttp_settings_init(&made);
    made.on_chunk_header = on_chunk;
    made.on_body = on_body;
    made.on_chunk_extension_name = on_extra;
    made.on_chunk_extension_value = on_extra;
    made.on_header_field = on_extra;
    made.on_header_value = on_extra;
    made.on_message_complete = on_end;
    return made;
  }();
  llhttp_init(&llhttp_, HTTP_REQUEST, &settings);
  llhttp_.data = this;
  constexpr std::string_view kHead = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  const llhttp_errno error = llhttp_execute(&llhttp_, kHead.data(), kHead.size());
  MR_ASSERT(error == HPE_OK);
  extra_bytes_ = 0;
}

int ChunkedDecoder::on_chunk(llhttp_t* llhttp) {
  ChunkedDecoder& decoder = decoder_of(llhttp);
  if (llhttp->content_length <= decoder.bytes_max_ - decoder.bytes_) {
    decoder.bytes_ += llhttp->content_length;
    return 0;
  }
  decoder.state_ = State::too_long;
  return -1;
}

int ChunkedDecoder::on_body(llhttp_t* llhttp, const char* at, size_t length) {
  decoder_of(llhttp).body_.append({reinterpret_cast<const std::byte*>(at), length});
  return 0;
}

int ChunkedDecoder::on_extra(llhttp_t* llhttp, const char*, size_t length) {
  ChunkedDecoder& decoder = decoder_of(llhttp);
  decoder.extra_bytes_ += length;
  return decoder.extra_bytes_ > kExtraBytesMax ? -1 : 0;
}

int ChunkedDecoder::on_end(llhttp_t*) {
  return HPE_PAUSED;
}

size_t ChunkedDecoder::feed(Bytes bytes) {
  MR_ASSERT(state_ == State::under_way);
  if (bytes.empty()) return 0;
  const auto* const begin = reinterpret_cast<const char*>(bytes.data());
  const llhttp_errno error = llhttp_execute(&llhttp_, begin, bytes.size());
  if (error == HPE_OK) {
    after_return_ = begin[bytes.size() - 1] == '\r';
    return bytes.size();
  }
  if (state_ == State::too_long) return bytes.size();
  state_ = State::malformed;
  if (error != HPE_PAUSED) return bytes.size();
  // llhttp takes a bare line feed for the end of the trailing fields.
  const auto used = static_cast<size_t>(llhttp_get_error_pos(&llhttp_) - begin);
  const bool proper = used >= 2 ? begin[used - 2] == '\r' : after_return_;
  if (proper) state_ = State::whole;
  return used;
}

}  // namespace millrace::net
