// Shapes: what an action's input is made of. One table of members for each input struct drives both
// decoders (json_reader.h, query_reader.h).
//
//   struct UntagQueueInput {
//     Text queue_url;
//     List<std::string_view> tag_keys;
//   };
//   constexpr Member kUntagQueue[] = {member<&UntagQueueInput::queue_url>("QueueUrl"),
//                                     member<&UntagQueueInput::tag_keys>("TagKeys", "TagKey")};
//   constexpr Shape kShape = shape<UntagQueueInput>(kUntagQueue);
//
// A member's kind follows from its type. Inputs lie in an Arena; their texts are views of the
// request's body, which decoding changes, or of the arena.
//
// Threads: any; no state.
#pragma once

#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>

#include "net/aws/arena.h"

namespace millrace::net {

struct Text {
  std::string_view value{};
  bool given = false;
};
struct Integer {
  int64_t value = 0;
  bool given = false;
};
// Its text is base64; here it is decoded.
struct Blob {
  std::string_view value{};
  bool given = false;
};
// Of a map from text to text.
struct Pair {
  std::string_view name{};
  std::string_view value{};
};

// Of any type; only decoders and List know which.
struct AnyList {
  void* items = nullptr;
  uint32_t* numbers = nullptr;  // in the Query protocol: of each item, rising
  uint32_t count = 0;
  uint32_t capacity = 0;
  bool given = false;
};
template <class T>
struct List : AnyList {
  static_assert(std::is_trivially_copyable_v<T>);
  std::span<const T> all() const { return {static_cast<const T*>(items), count}; }
  const T* begin() const { return all().data(); }
  const T* end() const { return all().data() + count; }
  const T& operator[](size_t i) const { return all()[i]; }
  uint32_t size() const { return count; }
  bool empty() const { return count == 0; }
};

enum class Kind : uint8_t {
  text,
  integer,
  blob,
  texts,       // List<std::string_view>
  pairs,       // List<Pair>: a map of texts
  structures,  // List of structs with a shape
  map,         // as structures, in a map: the key goes to the struct's member `name`
};

struct Shape;
struct Member {
  std::string_view json{};
  std::string_view query{};  // of a list: what stands before its numbers
  Kind kind{};
  uint32_t item_bytes = 0;              // of lists
  void* (*in)(void* input) = nullptr;   // where it lies
  void (*make)(void* place) = nullptr;  // an item, of lists
  const Shape* shape = nullptr;         // of structures and maps
  // In Query: what stands between a list's name and its numbers, if anything ("member", "entry");
  // what the key and the value of a pair or of a map are called.
  std::string_view part{};
  std::string_view key = "Name";
  std::string_view value = "Value";
  std::string_view& (*name)(void* item) = nullptr;  // of maps

  // Tags.member.1.Key, Attributes.entry.1.key
  constexpr Member as_members(std::string_view key_name = "Key") const {
    return with("member", key_name, "Value");
  }
  constexpr Member as_entries(std::string_view key_name = "key",
                              std::string_view value_name = "value") const {
    return with("entry", key_name, value_name);
  }

 private:
  constexpr Member with(std::string_view between, std::string_view key_name,
                        std::string_view value_name) const {
    Member changed = *this;
    changed.part = between;
    changed.key = key_name;
    changed.value = value_name;
    return changed;
  }
};
struct Shape {
  std::span<const Member> members;
  uint32_t bytes = 0;
  void (*make)(void* place) = nullptr;
};

namespace detail {

template <class T>
struct FieldOf;
template <class S, class T>
struct FieldOf<T S::*> {
  using Struct = S;
  using Type = T;
};
template <class T>
struct ItemOf {
  using Type = void;
};
template <class T>
struct ItemOf<List<T>> {
  using Type = T;
};
template <class T>
void make(void* place) {
  new (place) T();
}
template <class T>
concept HasName = requires(T item) {
  { item.name } -> std::same_as<std::string_view&>;
};
template <class T>
std::string_view& name_of(void* item) {
  return static_cast<T*>(item)->name;
}
template <class T>
constexpr Kind kind_of() {
  using Item = typename ItemOf<T>::Type;
  if (std::is_same_v<T, Text>) return Kind::text;
  if (std::is_same_v<T, Integer>) return Kind::integer;
  if (std::is_same_v<T, Blob>) return Kind::blob;
  if (std::is_same_v<Item, std::string_view>) return Kind::texts;
  if (std::is_same_v<Item, Pair>) return Kind::pairs;
  return HasName<Item> ? Kind::map : Kind::structures;
}

}  // namespace detail

template <auto kField>
constexpr Member member(std::string_view json, std::string_view query = {},
                        const Shape* shape = nullptr, std::string_view key = "Name") {
  using Field = detail::FieldOf<decltype(kField)>;
  using Type = typename Field::Type;
  using Item = typename detail::ItemOf<Type>::Type;
  Member m;
  m.json = json;
  m.query = query.empty() ? json : query;
  m.kind = detail::kind_of<Type>();
  m.in = [](void* input) -> void* {
    return &(static_cast<typename Field::Struct*>(input)->*kField);
  };
  m.shape = shape;
  m.key = key;
  if constexpr (!std::is_void_v<Item>) {
    m.item_bytes = sizeof(Item);
    m.make = detail::make<Item>;
    if constexpr (detail::HasName<Item>) m.name = detail::name_of<Item>;
  }
  return m;
}
template <class S>
constexpr Shape shape(std::span<const Member> members) {
  static_assert(std::is_trivially_destructible_v<S>);
  return {members, sizeof(S), detail::make<S>};
}

// A new item at place `at` of the list, made.
inline void* insert_item(AnyList& list, const Member& member, uint32_t at, Arena& arena) {
  constexpr uint32_t kFirstCapacity = 12;  // a whole batch and a little more
  const size_t bytes = member.item_bytes;
  if (list.count == list.capacity) {
    const uint32_t capacity = list.capacity == 0 ? kFirstCapacity : 2 * list.capacity;
    void* const items = arena.take(capacity * bytes);
    auto* const numbers = static_cast<uint32_t*>(arena.take(capacity * sizeof(uint32_t)));
    if (list.count > 0) {
      std::memcpy(items, list.items, list.count * bytes);
      std::memcpy(numbers, list.numbers, list.count * sizeof(uint32_t));
    }
    list.items = items;
    list.numbers = numbers;
    list.capacity = capacity;
  }
  auto* const place = static_cast<std::byte*>(list.items) + at * bytes;
  std::memmove(place + bytes, place, (list.count - at) * bytes);
  std::memmove(list.numbers + at + 1, list.numbers + at, (list.count - at) * sizeof(uint32_t));
  ++list.count;
  member.make(place);
  return place;
}
inline void* add_item(AnyList& list, const Member& member, Arena& arena) {
  return insert_item(list, member, list.count, arena);
}
inline void* item_at(AnyList& list, const Member& member, uint32_t at) {
  return static_cast<std::byte*>(list.items) + size_t{at} * member.item_bytes;
}

// Members, items and parameters of one request in all.
inline constexpr uint32_t kInputMembersMax = 1'000;

}  // namespace millrace::net
