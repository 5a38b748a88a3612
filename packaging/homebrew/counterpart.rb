# Filled by packaging/build.sh formulas.
class Counterpart < Formula
  desc "Exact nightly clones of a running system with rsync"
  homepage "@HOMEPAGE@"
  url "@URL@"
  sha256 "@SHA256@"
  license "GPL-3.0-or-later"

  depends_on "rust" => :build
  depends_on "rsync"

  def install
    system "cargo", "install", *std_cargo_args
    system bin/"counterpart", "generate", "man", "--dir", man
    generate_completions_from_executable(bin/"counterpart", "generate", shells: [:bash, :zsh, :fish])
    doc.install "docs", "examples", "README.md", "SCHEDULING.md", "SECURITY.md"
  end

  def caveats
    <<~EOS
      Counterpart runs as root, and whoever can write to #{HOMEBREW_PREFIX} can replace it.
      On a Mac, give it and rsync Full Disk Access: INSTALL.md has the steps.
    EOS
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/counterpart --version")
    (testpath/"a").mkpath
    (testpath/"b").mkpath
    (testpath/"a/file").write "content"
    system bin/"counterpart", "-s", testpath/"a", "-d", testpath/"b", "--allow-non-root", "--allow-folder"
    assert_equal "content", (testpath/"b/file").read
  end
end
