#include "failure.hpp"
#include "line_file.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <vector>
#include <zstd.h>

namespace evented::cli {

namespace fs = std::filesystem;

namespace {

/// PostgreSQL takes no longer one, and a few bytes may unpack to any length.
constexpr std::size_t longest_line = 1024 * 1024 * 1024;

} // namespace

class line_reader::impl {
public:
  explicit impl(const fs::path& file) : file_(file), in_(ZSTD_DStreamInSize()) {
    fd_ = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0)
      throw failure(exit_code::not_found, "cannot open " + file.string() + ": "
                                            + std::strerror(errno));
    size_ = fs::file_size(file);
    fill();
    constexpr std::string_view magic = "\x28\xB5\x2F\xFD";
    if (std::string_view{in_.data(), filled_}.starts_with(magic))
      context_.reset(ZSTD_createDCtx());
  }

  ~impl() { ::close(fd_); }

  bool next(std::string_view& line) {
    for (;;) {
      auto end = text_.find('\n', searched_);
      if (end != std::string::npos) {
        line = std::string_view{text_}.substr(from_, end - from_);
        from_ = searched_ = end + 1;
        return true;
      }
      text_.erase(0, from_);
      from_ = 0;
      searched_ = text_.size();
      if (searched_ > longest_line)
        damaged("no line is that long");
      if (!read_more()) {
        if (!text_.empty() || in_frame_)
          damaged("it ends in the middle");
        return false;
      }
    }
  }

  std::uint64_t position_ = 0;
  std::uint64_t size_ = 0;

private:
  struct free_context {
    void operator()(ZSTD_DCtx* x) const { ZSTD_freeDCtx(x); }
  };

  [[noreturn]] void damaged(const std::string& what) const {
    throw failure(exit_code::fault, file_.string() + " is damaged: " + what);
  }

  bool fill() {
    ssize_t n = 0;
    do {
      n = ::read(fd_, in_.data(), in_.size());
    } while (n < 0 && errno == EINTR);
    if (n < 0)
      throw failure(exit_code::failed, "cannot read " + file_.string() + ": "
                                         + std::strerror(errno));
    filled_ = static_cast<std::size_t>(n);
    used_ = 0;
    position_ += filled_;
    return filled_ > 0;
  }

  /// Appends to the text. Returns whether there was anything left.
  bool read_more() {
    // What is left in the decoder needs no input.
    if (used_ == filled_ && !pending_ && !fill())
      return false;
    if (context_ == nullptr) {
      text_.append(in_.data() + used_, filled_ - used_);
      used_ = filled_;
      return true;
    }
    auto size = text_.size();
    text_.resize(size + ZSTD_DStreamOutSize());
    ZSTD_outBuffer out{text_.data() + size, text_.size() - size, 0};
    ZSTD_inBuffer in{in_.data(), filled_, used_};
    auto left = ZSTD_decompressStream(context_.get(), &out, &in);
    if (ZSTD_isError(left) != 0)
      damaged(ZSTD_getErrorName(left));
    in_frame_ = left != 0;
    pending_ = out.pos == out.size;
    used_ = in.pos;
    text_.resize(size + out.pos);
    return true;
  }

  fs::path file_;
  int fd_ = -1;
  std::vector<char> in_;
  std::size_t filled_ = 0;
  std::size_t used_ = 0;
  std::unique_ptr<ZSTD_DCtx, free_context> context_;
  bool in_frame_ = false;
  bool pending_ = false;
  std::string text_;
  std::size_t from_ = 0;
  /// There is no end of a line from `from_` up to here.
  std::size_t searched_ = 0;
};

line_reader::line_reader(const fs::path& file)
  : impl_(std::make_unique<impl>(file)) {
  // nop
}

line_reader::~line_reader() = default;

bool line_reader::next(std::string_view& line) {
  return impl_->next(line);
}

std::uint64_t line_reader::position() const noexcept {
  return impl_->position_;
}

std::uint64_t line_reader::size() const noexcept {
  return impl_->size_;
}

} // namespace evented::cli
