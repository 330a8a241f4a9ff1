// An observer that keeps what it hears of one kind of event.
#pragma once

#include <vector>

#include "kvcache/cache/observer.hpp"

template <class Event>
struct Listener {
  std::vector<Event>* heard;
  void operator()(const Event& event) const { heard->push_back(event); }
};
