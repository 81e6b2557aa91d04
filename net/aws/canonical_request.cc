#include "net/aws/canonical_request.h"

#include <algorithm>
#include <array>

namespace millrace::net {
namespace {

constexpr std::array<bool, 256> make_unreserved() {
  std::array<bool, 256> table{};
  for (int c = 0; c < 256; ++c) {
    table[static_cast<size_t>(c)] = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                                    (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
                                    c == '~';
  }
  return table;
}
constexpr std::array<bool, 256> kUnreserved = make_unreserved();

void append_byte_encoded(char c, std::string& out) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  const auto byte = static_cast<unsigned char>(c);
  if (kUnreserved[byte]) {
    out += c;
  } else {
    out += '%';
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Calls `take` with each byte that `encoded` stands for.
template <class Take>
void decode_each(std::string_view encoded, Take take) {
  for (size_t i = 0; i < encoded.size(); ++i) {
    const char c = encoded[i];
    if (c == '%' && i + 2 < encoded.size()) {
      const int high = hex_digit(encoded[i + 1]);
      const int low = hex_digit(encoded[i + 2]);
      if (high >= 0 && low >= 0) {
        take(static_cast<char>(high * 16 + low));
        i += 2;
        continue;
      }
    }
    take(c == '+' ? ' ' : c);
  }
}

void append_encoded_again(std::string_view encoded, std::string& out) {
  decode_each(encoded, [&out](char c) { append_byte_encoded(c, out); });
}

// Without the blanks around it, and each run of blanks in it as one.
void append_trimmed(std::string_view value, std::string& out) {
  bool any = false;
  bool blank = false;
  for (const char c : value) {
    if (c == ' ' || c == '\t') {
      blank = any;
      continue;
    }
    if (blank) out += ' ';
    blank = false;
    any = true;
    out += c;
  }
}

}  // namespace

bool same_field_name(std::string_view sent, std::string_view lower) {
  if (sent.size() != lower.size()) return false;
  for (size_t i = 0; i < sent.size(); ++i) {
    const char c = sent[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c) != lower[i]) return false;
  }
  return true;
}

void append_encoded(std::string_view bytes, std::string& out) {
  for (const char c : bytes)
    append_byte_encoded(c, out);
}

void append_decoded(std::string_view encoded, std::string& out) {
  decode_each(encoded, [&out](char c) { out += c; });
}

std::string_view CanonicalRequest::write(const HttpRequest& request,
                                         std::string_view signed_headers,
                                         std::string_view payload_hash, bool presigned) {
  text_.clear();
  text_ += request.method;
  text_ += '\n';
  add_path(request.path());
  text_ += '\n';
  add_query(request.query(), presigned);
  text_ += '\n';
  if (!add_fields(request, signed_headers)) return {};
  text_ += '\n';
  text_ += signed_headers;
  text_ += '\n';
  text_ += payload_hash;
  return text_;
}

void CanonicalRequest::add_path(std::string_view path) {
  segments_.clear();
  const size_t begin = text_.size();
  for (size_t at = 0; at < path.size();) {
    const size_t slash = std::min(path.find('/', at), path.size());
    const std::string_view segment = path.substr(at, slash - at);
    at = slash + 1;
    if (segment.empty() || segment == ".") continue;
    if (segment == "..") {
      if (segments_.empty()) continue;
      text_.resize(segments_.back());
      segments_.pop_back();
      continue;
    }
    segments_.push_back(text_.size());
    text_ += '/';
    append_encoded(segment, text_);
  }
  if (text_.size() == begin || path.back() == '/') text_ += '/';
}

void CanonicalRequest::add_query(std::string_view query, bool presigned) {
  encoded_.clear();
  parameters_.clear();
  for (size_t at = 0; at < query.size();) {
    const size_t end = std::min(query.find('&', at), query.size());
    const std::string_view pair = query.substr(at, end - at);
    at = end + 1;
    if (pair.empty()) continue;
    const size_t equals = std::min(pair.find('='), pair.size());
    Parameter parameter;
    parameter.key = encoded_.size();
    append_encoded_again(pair.substr(0, equals), encoded_);
    parameter.value = encoded_.size();
    if (presigned && std::string_view(encoded_).substr(parameter.key) == "X-Amz-Signature") {
      encoded_.resize(parameter.key);
      continue;
    }
    append_encoded_again(pair.substr(std::min(equals + 1, pair.size())), encoded_);
    parameter.end = encoded_.size();
    parameters_.push_back(parameter);
  }
  const std::string_view encoded = encoded_;
  const auto key = [encoded](const Parameter& p) { return encoded.substr(p.key, p.value - p.key); };
  const auto value = [encoded](const Parameter& p) {
    return encoded.substr(p.value, p.end - p.value);
  };
  std::sort(parameters_.begin(), parameters_.end(), [&](const Parameter& a, const Parameter& b) {
    const int order = key(a).compare(key(b));
    return order != 0 ? order < 0 : value(a) < value(b);
  });
  for (const Parameter& parameter : parameters_) {
    if (&parameter != parameters_.data()) text_ += '&';
    text_ += key(parameter);
    text_ += '=';
    text_ += value(parameter);
  }
}

bool CanonicalRequest::add_fields(const HttpRequest& request, std::string_view signed_headers) {
  std::string_view last;
  for (size_t at = 0; at <= signed_headers.size();) {
    const size_t end = std::min(signed_headers.find(';', at), signed_headers.size());
    const std::string_view name = signed_headers.substr(at, end - at);
    at = end + 1;
    // Rising strictly: a name that came twice would let a small head make a long text.
    if (name <= last || !add_field(request, name)) return false;
    last = name;
  }
  return true;
}

bool CanonicalRequest::add_field(const HttpRequest& request, std::string_view name) {
  bool found = false;
  for (const HttpField& field : request.fields) {
    if (!same_field_name(field.name, name)) continue;
    if (found) {
      text_ += ',';
    } else {
      text_ += name;
      text_ += ':';
    }
    append_trimmed(field.value, text_);
    found = true;
  }
  text_ += '\n';
  return found;
}

}  // namespace millrace::net
