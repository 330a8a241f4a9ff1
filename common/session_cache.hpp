// Whether the cache that a session asks for is what its rows are of, asked before any such cache is made: the words in
// a file may ask for any amount of memory.
#pragma once

#include <algorithm>
#include <string>

#include "common/caches.hpp"
#include "kvcache/io/session.hpp"

namespace kvcache {

/// Up to so many bytes a session may ask for, beside four times what its rows take.
inline constexpr std::size_t unasked_bytes = std::size_t(1) << 30;

/// `is_asked`: the user has named this cache too, and may have all the memory it takes. Errors: a spec that make_cache
/// does not know; rows of another kind of cache, or of more tokens than the text; more memory than seems meant.
inline void check_session_cache(const SavedSession& saved, CacheShape shape, bool is_asked) {
  const std::string& spec = saved.session().cache;
  const int tokens = int(saved.session().tokens.size());
  const int length = saved.check_rows_length();
  const CachePlan plan = say_where(saved.path(), [&] { return plan_cache(spec, shape, tokens, length); });
  saved.check_rows_kind(plan.saved_kind);
  const std::size_t bytes = std::max(plan.first_bytes, plan.memory.reserved_bytes);
  check(is_asked || bytes <= unasked_bytes + 4 * saved.rows_bytes(), saved.path(),
        ": the session asks for the cache \"", detail::shortened(spec), "\", which takes ", bytes,
        " bytes, while its rows take ", saved.rows_bytes(),
        "; if that is meant, name the cache too, as --cache does, or begin another session");
}

}  // namespace kvcache
