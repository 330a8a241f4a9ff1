// What a policy does that nobody outside can know, told to whoever listens. When nobody does, nothing is compiled.
#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <variant>

namespace kvcache {

enum class Reason { left_the_window, least_attended, drawn_by_lot, rewound, cleared };

constexpr const char* name(Reason reason) {
  constexpr const char* names[] = {"left the window", "got the least attention", "drawn by lot", "rewound", "cleared"};
  return names[int(reason)];
}

struct Evicted {  // attention will not see this token again
  int layer, position, slot;
  Reason reason;
  bool operator==(const Evicted&) const = default;
};
struct Moved {  // the rows went to larger room; slots stay what they were
  int layer, rows;
  std::size_t bytes;
  bool operator==(const Moved&) const = default;
};
struct Shared {  // a page of tokens is in the table of one more text
  int first_position, rows, page, references;
  bool operator==(const Shared&) const = default;
};
struct Copied {  // rows exist twice now: clone(), or a shared page that was about to be written
  int first_position, rows;
  std::size_t bytes;
  bool operator==(const Copied&) const = default;
};
struct Packed {  // whole rows were written in fewer bits, for good: attention reads other numbers from now on
  int layer, first_position, rows;
  bool operator==(const Packed&) const = default;
};
struct Fetched {  // blocks of older tokens that attention read since the last append: from memory, or from slow memory
  int layer, hits, misses;
  std::size_t bytes;  // brought back
  bool operator==(const Fetched&) const = default;
};

template <class O, class Event>
concept Hears = std::invocable<O&, const Event&>;

struct NoObserver {};  // hears nothing and takes no room

/// Anything callable with one event or more. A clone copies it, so it points to what it fills. It is called in append,
/// rewind, clear, clone and fork, after the fact, by the caller's thread; never while attention reads.
template <class O>
concept Observer = std::copyable<O> &&(std::same_as<O, NoObserver> || Hears<O, Evicted> || Hears<O, Moved> ||
                                       Hears<O, Shared> || Hears<O, Copied> || Hears<O, Packed> || Hears<O, Fetched>);

template <class Event, Observer O>
void tell(O& observer, const Event& event) {
  if constexpr (Hears<O, Event>) observer(event);
}

/// While one lives, this thread looks at blocks without reading their rows for the model, and caches do not count it: a
/// watcher, or attention that asks how many rows there are. (Not if `is_looking` is false.)
class OnlyLooking {
 public:
  explicit OnlyLooking(bool is_looking = true) : looking_(is_looking) { lookers() += looking_; }
  ~OnlyLooking() { lookers() -= looking_; }
  OnlyLooking(const OnlyLooking&) = delete;
  OnlyLooking& operator=(const OnlyLooking&) = delete;
  static bool here() { return lookers() > 0; }

 private:
  static int& lookers() {
    static thread_local int count = 0;
    return count;
  }
  int looking_;
};

/// For programs, which compile each policy once: listens or not when it runs, for one branch an event. The listener
/// must outlive the cache, its clones and its forks, unless its owner is given, which then lives as long as they do.
using PolicyEvent = std::variant<Evicted, Moved, Shared, Copied, Packed, Fetched>;
struct MaybeObserver {
  std::function<void(const PolicyEvent&)>* listener = nullptr;
  std::shared_ptr<const void> owner = nullptr;
  void operator()(const auto& event) const {
    if (listener && *listener) (*listener)(event);
  }
};

}  // namespace kvcache
