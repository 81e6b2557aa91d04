// FilterFields: what one message holds under the keys that filter policies ask about.
//
// It is read once for all of them, and only where a key leads: FilterKeys knows each key and what
// comes before its dots, and other parts of a body are passed over. In a body {"a": {"b": 1}} and
// {"a.b": 1} are the same, and a list stands for its elements, at any depth. Lists without elements
// and objects are no values; a null is one.
//
// An attribute is there whatever its value is. Of type String (or String.x) it has that text, of
// Number that number, of String.Array the elements of the list that its text is, of Binary nothing.
//
// A body that is no JSON object, has more than 1,024 levels, or a number beyond a double's range is
// not readable, and no policy accepts it; so is a message without any attribute for policies about
// attributes. Threads: shard-local.   Memory: FilterJson some 15 times the largest body so far, so
// there is one for a shard; FilterFields 40 bytes a value.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include "base/hash.h"
#include "engine/filter_policy.h"
#include "millrace/types.h"

namespace millrace::engine {

// Whatever is the same for a text and a view of it.
struct TextHash {
  using is_transparent = void;
  using is_avalanching = void;
  size_t operator()(std::string_view text) const {
    return base::hash64(text.data(), text.size(), 0);
  }
};

template <class Value>
using TextMap = boost::unordered_flat_map<std::string, Value, TextHash, std::equal_to<>>;

// Numbers keys in the order given, which are all different.
class FilterKeys {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Node {
    uint32_t key = kNone;
    bool parent = false;  // a longer key begins with this and a dot
  };

  explicit FilterKeys(std::span<const std::string> keys);
  // Null if no key is this or begins with this and a dot.
  const Node* find(std::string_view path) const;
  size_t size() const { return size_; }
  size_t longest() const { return longest_; }

 private:
  size_t size_;
  size_t longest_ = 0;
  TextMap<Node> nodes_;
};

// The reader of bodies and lists.
class FilterJson {
 public:
  FilterJson();
  ~FilterJson();

 private:
  friend class FilterFields;
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

class FilterFields {
 public:
  // Both outlive this.
  FilterFields(const FilterKeys& keys, FilterJson& json);

  // Forgets the message before. Views of `properties` (millrace/properties.h) are kept.
  void read_attributes(Bytes properties);
  // Values are views into `json` until it reads something else.
  void read_body(std::string_view body);

  bool readable() const { return readable_; }
  bool present(uint32_t key) const { return keys_here_[key].present; }
  // Keys that are present, in the order found.
  std::span<const uint32_t> present_keys() const { return present_keys_; }
  // How many any_value() gives. Of many under a key, equal ones are one.
  uint32_t value_count(uint32_t key) const { return keys_here_[key].count; }
  bool meets(uint32_t key, const FilterCondition& condition) const;

  // Calls take(value) for each value under the key, until it returns true; returns that.
  template <class Take>
  bool any_value(uint32_t key, Take take) const {
    for (uint32_t at = keys_here_[key].first; at != FilterKeys::kNone; at = values_[at].next)
      if (take(values_[at].value)) return true;
    return false;
  }

 private:
  struct Here {
    bool present = false;
    uint32_t count = 0;
    uint32_t first = FilterKeys::kNone;
    uint32_t last = FilterKeys::kNone;
  };
  struct Entry {
    FilterValue value;
    uint32_t next = FilterKeys::kNone;
  };

  // A key with many values, which a look at each of them finds costly.
  static constexpr uint32_t kValuesCompared = 8;

  void clear();
  bool is_known(uint32_t key, const FilterValue& value);
  void note_present(uint32_t key);
  void add(uint32_t key, const FilterValue& value);
  void read_list(uint32_t key, std::string_view text);
  template <class Object>
  void walk(const Object& root);

  const FilterKeys& keys_;
  FilterJson& json_;
  bool readable_ = false;
  std::vector<Here> keys_here_;
  std::vector<uint32_t> present_keys_;
  std::vector<Entry> values_;
  boost::unordered_flat_set<std::string> known_values_;  // of keys with many
  std::deque<std::string> list_texts_;  // of String.Array, whose reading the next one overwrites
  std::string path_;
};

}  // namespace millrace::engine
