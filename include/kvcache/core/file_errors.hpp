// Why a file cannot be written, in the system's words, and what to do about it.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

namespace kvcache {

/// "File name too long; choose a shorter one". `error` is what errno was.
inline std::string why_not_written(int error) {
  const char* advice = "";
  if (error == ENOENT || error == ENOTDIR) advice = "; does its folder exist?";
  if (error == EACCES || error == EPERM || error == EROFS) advice = "; may you write there?";
  if (error == ENAMETOOLONG) advice = "; choose a shorter one";
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) advice = "; is the disk full?";
  if (error == ELOOP) advice = "; do its links lead in a circle?";
  return std::generic_category().message(error) + advice;
}

}  // namespace kvcache
